package sandbox_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/sandbox"
)

const clients = "/mosaic/cis/v1/clients"

type mosaicCaller struct {
	*bench
	token string
}

func (b *bench) asMosaic() mosaicCaller { return mosaicCaller{b, b.mosaicToken(b.creds.Mosaic)} }

func (c mosaicCaller) call(want int, method, path, body string) answer {
	c.t.Helper()
	headers := []string{"Authorization", "Bearer " + c.token}
	if body != "" {
		headers = append(headers, "Content-Type", "application/json")
	}
	return c.do(want, method, path, body, headers...)
}

// mosaicClient is what the tests read of a client.
type mosaicClient struct {
	AppID        string    `json:"app_id"`
	TenantID     string    `json:"tenant_id"`
	ID           string    `json:"client_id"`
	Secret       string    `json:"client_secret"`
	Name         string    `json:"name"`
	Description  string    `json:"description"`
	Protocol     string    `json:"authentication_protocol"`
	RedirectURIs []string  `json:"redirect_uris"`
	Resources    []string  `json:"resources"`
	RoleIDs      []string  `json:"role_ids"`
	Created      time.Time `json:"created_at"`
}

const oidcClient = `{"name":"Portal","description":"[idem:0123456789abcdef] Portal","redirect_uris":["https://portal.acme.example/cb"],"role_ids":["r1"]}`

func TestMosaicCreateReadUpdateDelete(t *testing.T) {
	b := start(t, sandbox.Options{})
	c := b.asMosaic()
	var made, read mosaicClient
	c.call(201, "POST", clients, oidcClient).into(t, &made)
	if made.ID == "" || made.Secret == "" || made.AppID == "" || made.TenantID == "" || made.Protocol != "oidc" || made.Created.IsZero() {
		t.Errorf("created: %+v", made)
	}
	if made.RoleIDs != nil {
		t.Error("role_ids can be read back")
	}
	one := clients + "/" + made.ID
	c.call(200, "GET", one, "").into(t, &read)
	if read.Secret != made.Secret || read.Description != made.Description {
		t.Errorf("read: %+v", read)
	}
	c.call(200, "PUT", one, `{"name":"Portal 2"}`).into(t, &read)
	if read.Name != "Portal 2" || !slices.Equal(read.RedirectURIs, made.RedirectURIs) || read.Secret != made.Secret {
		t.Errorf("updated: %+v", read)
	}
	c.call(200, "PUT", one, `{"name": "Portal 2"}`) // nothing new
	c.call(200, "PUT", one+"/resources", `{"resource_ids":["a","b"]}`).into(t, &read)
	if !slices.Equal(read.Resources, []string{"a", "b"}) {
		t.Errorf("resources: %+v", read)
	}
	c.call(400, "PUT", one+"/resources", `{"resources":["a"]}`)
	var all []mosaicClient
	c.call(200, "GET", clients, "").into(t, &all)
	if len(all) != 2 || all[0].ID != b.creds.Mosaic.ClientID || all[1].Secret != made.Secret {
		t.Errorf("list: %+v", all)
	}
	// A repeated create is another client.
	c.call(201, "POST", clients, oidcClient)
	if got := b.Snapshot().Mosaic.Named("Portal"); len(got) != 1 || string(got[0].Fields["role_ids"]) != `["r1"]` {
		t.Errorf("state: %+v", got)
	}
	c.call(204, "DELETE", one, "")
	gone := c.call(404, "DELETE", one, "")
	var e struct {
		Message string `json:"message"`
		Code    int    `json:"error_code"`
	}
	gone.into(t, &e)
	if e.Message == "" || e.Code != 404 {
		t.Errorf("404: %s", gone.body)
	}
	c.call(404, "GET", one, "")
	c.call(404, "PUT", one, `{"name":"x"}`)
	effects := b.Journal().Effects()
	if count(effects, "mosaic.client.created "+made.ID) != 1 || count(effects, "mosaic.client.deleted "+made.ID) != 1 ||
		count(effects, "mosaic.client.updated "+made.ID) != 2 {
		t.Errorf("effects: %v", effects)
	}
}

func TestMosaicValidation(t *testing.T) {
	b := start(t, sandbox.Options{})
	c := b.asMosaic()
	for body, want := range map[string]string{
		`{"redirect_uris":["https://a.example"]}`: "name should not be empty",
		`{"name":"x"}`: "redirect_uris should not be empty",
		`{"name":"x","authentication_protocol":"saml"}`:                                               "sp_entity_id should not be empty",
		`{"name":"x","redirect_uris":["http://a.example"]}`:                                           "redirect_uris must be secure",
		`{"name":"x","redirect_uris":["com.acme.app:/cb"]}`:                                           "redirect_uris must be secure",
		`{"name":5,"redirect_uris":["https://a.example"]}`:                                            "name must be of type string",
		`{"name":"x","redirect_uris":["https://a.example"],"client_type":"desktop"}`:                  "client_type must be one of",
		`{"name":"x","redirect_uris":["https://a.example"],"response_types":["token"]}`:               "response_types must be one of",
		`{"name":"x","redirect_uris":["https://a.example"],"device_authorization":{"enabled":false}}`: "device_authorization.input_uri",
		`{"name":"x","redirect_uris":["https://a.example"],"ciba_authorization":{}}`:                  "ciba_authorization.enabled",
	} {
		a := c.call(400, "POST", clients, body)
		var e struct {
			Message []string `json:"message"`
			Code    int      `json:"error_code"`
		}
		a.into(t, &e)
		if !strings.Contains(strings.Join(e.Message, "\n"), want) || e.Code != 400 {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	c.call(400, "POST", clients, `[1]`)
	for _, body := range []string{
		`{"name":"x","redirect_uris":["http://localhost:8080/cb","https://a.example"]}`,
		`{"name":"x","client_type":"native","redirect_uris":["com.acme.app:/cb"]}`,
		`{"name":"x","redirect_uris":["https://a.example"],"device_authorization":{"enabled":true,"approval_uri":"a","success_uri":"b","input_uri":"c"}}`,
	} {
		c.call(201, "POST", clients, body)
	}
	if got := b.Snapshot().Mosaic.Clients; len(got) != 4 {
		t.Errorf("%d clients", len(got))
	}
}

func TestMosaicSAMLEntityCollides(t *testing.T) {
	b := start(t, sandbox.Options{})
	c := b.asMosaic()
	const saml = `{"name":"SP","sp_entity_id":"urn:acme:sp"}`
	var made mosaicClient
	c.call(201, "POST", clients, saml).into(t, &made)
	if made.Protocol != "saml" {
		t.Errorf("protocol %s", made.Protocol)
	}
	a := c.call(409, "POST", clients, saml)
	var e struct {
		Message string `json:"message"`
		Code    int    `json:"error_code"`
		TS      string `json:"ts_error_code"`
	}
	a.into(t, &e)
	if e.Message == "" || e.Code != 409 || e.TS == "" {
		t.Errorf("409: %s", a.body)
	}
	c.call(200, "PUT", clients+"/"+made.ID, `{"sp_entity_id":"urn:acme:sp"}`)
}

func TestMosaicDeleteAllTakesTheCallerToo(t *testing.T) {
	b := start(t, sandbox.Options{})
	c := b.asMosaic()
	c.call(201, "POST", clients, oidcClient)
	c.call(204, "DELETE", clients, "")
	c.call(401, "GET", clients, "")
	form := "grant_type=client_credentials&client_id=" + b.creds.Mosaic.ClientID + "&client_secret=" + b.creds.Mosaic.ClientSecret
	a := b.do(400, "POST", "/mosaic/oidc/token", form, "Content-Type", "application/x-www-form-urlencoded")
	if got := oauthFault(t, a); got != "invalid_client" {
		t.Errorf("token: %s", got)
	}
	if got := len(b.Journal().Effects()); got != 3 {
		t.Errorf("%d effects", got)
	}
}

func TestMosaicSecrets(t *testing.T) {
	b := start(t, sandbox.Options{Mosaic: sandbox.MosaicOptions{MaskSecrets: true}})
	c := b.asMosaic()
	var made, read mosaicClient
	c.call(201, "POST", clients, oidcClient).into(t, &made)
	c.call(200, "GET", clients+"/"+made.ID, "").into(t, &read)
	if made.Secret == read.Secret || strings.Trim(read.Secret, "*") != "" {
		t.Error("the secret is not masked")
	}
	var second struct {
		ID     string `json:"id"`
		Secret string `json:"client_secret"`
	}
	c.call(201, "POST", clients+"/"+made.ID+"/secrets", "").into(t, &second)
	c.call(400, "POST", clients+"/"+made.ID+"/secrets", "")
	b.mosaicToken(sandbox.MosaicKey{ClientID: made.ID, ClientSecret: made.Secret})
	b.mosaicToken(sandbox.MosaicKey{ClientID: made.ID, ClientSecret: second.Secret})
	state, err := json.Marshal(b.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{made.Secret, second.Secret, b.creds.Mosaic.ClientSecret, b.creds.OktaAPIToken, b.creds.ASAAdmin.KeySecret} {
		if strings.Contains(string(state), secret) {
			t.Error("the snapshot holds a secret")
		}
	}
}

func TestMosaicTokenEndpoint(t *testing.T) {
	b := start(t, sandbox.Options{Limits: map[string]sandbox.Limit{sandbox.BucketMosaic: {Requests: 1, Window: time.Minute}}})
	b.do(400, "POST", "/mosaic/oidc/token", "{}", "Content-Type", "application/json")
	c := mosaicCaller{b, ""}
	b.SetLimit(sandbox.BucketMosaic, sandbox.Limit{Requests: 1, Window: time.Minute})
	a := b.mosaicToken(b.creds.Mosaic)
	c.token = a
	c.call(200, "GET", clients, "")
	limited := c.call(429, "GET", clients, "")
	if limited.Header.Get("Retry-After") != "60" || !strings.HasPrefix(limited.Header.Get("Content-Type"), "text/html") {
		t.Errorf("429: %v", limited.Header)
	}
	b.clock.Add(time.Hour)
	c.call(401, "GET", clients, "")
}

func TestMosaicPopulation(t *testing.T) {
	b := start(t, sandbox.Options{})
	key := b.AddMosaicClient(sandbox.MosaicClientSpec{Name: "Old", Description: "d", Fields: map[string]any{"client_type": "native"}})
	b.mosaicToken(key)
	var read struct {
		Type string `json:"client_type"`
	}
	b.asMosaic().call(200, "GET", clients+"/"+key.ClientID, "").into(t, &read)
	if read.Type != "native" {
		t.Errorf("client_type %s", read.Type)
	}
}
