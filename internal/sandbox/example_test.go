package sandbox_test

import (
	"fmt"
	"net/http"

	"keyturn/internal/sandbox"
)

// A revocation takes effect, and its answer is lost.
func Example() {
	sb := sandbox.New(sandbox.Options{})
	user := sb.AddUser(sandbox.UserSpec{Login: "ada@acme.example"})
	app := sb.AddOAuthClient(sandbox.OAuthClientSpec{Name: "Wiki"})
	sb.AddRefreshToken(user, app, sandbox.DefaultServer)
	_, err := sb.Fault(sandbox.Fault{Method: "DELETE", Path: "/okta/**", Kind: sandbox.KindEffectThenTimeout})
	if err != nil {
		fmt.Println(err)
		return
	}

	url := sandbox.OktaURL(sandbox.InProcessURL) + "/api/v1/users/" + user + "/clients/" + app + "/tokens"
	req, err := http.NewRequest(http.MethodDelete, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Authorization", "SSWS "+sb.Credentials().OktaAPIToken)
	client := &http.Client{Transport: sb.Transport()}
	_, err = client.Do(req)

	fmt.Println("answered:", err == nil)
	fmt.Println("tokens left:", len(sb.Snapshot().Okta.TokensOf(user)))
	fmt.Println("effects:", len(sb.Journal().Effects()))
	// Output:
	// answered: false
	// tokens left: 0
	// effects: 1
}
