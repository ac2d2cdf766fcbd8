// Signs as real senders do, for `make interop`: a request is read from standard input as JSON, the answer is written to
// standard output as JSON. Nothing here knows Keyturn.
import { sign as githubSign, verify as githubVerify } from "@octokit/webhooks-methods";
import * as jose from "jose";
import { Webhook } from "standardwebhooks";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const asked = JSON.parse(Buffer.concat(chunks).toString("utf8"));

const kinds = {
  async standardWebhooks({ secret, id, seconds, body }) {
    return { signature: new Webhook(secret).sign(id, new Date(seconds * 1000), body) };
  },
  // Throws when the delivery is not believed.
  async standardWebhooksVerify({ secret, headers, body }) {
    new Webhook(secret).verify(body, headers);
    return { believed: true };
  },
  async github({ secret, body }) {
    return { signature: await githubSign(secret, body) };
  },
  async githubVerify({ secret, body, signature }) {
    return { believed: await githubVerify(secret, body, signature) };
  },
  // A key of its own for every token, published as an issuer does.
  async token({ alg, typ, claims }) {
    const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true });
    const jwk = { ...(await jose.exportJWK(publicKey)), kid: `key-${alg}`, alg, use: "sig" };
    const token = await new jose.SignJWT(claims).setProtectedHeader({ alg, typ, kid: jwk.kid }).sign(privateKey);
    return { token, jwk };
  },
};

process.stdout.write(JSON.stringify(await kinds[asked.kind](asked)));
