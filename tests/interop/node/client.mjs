// An approval system in another language. It shares nothing with the broker but what is published: RFC 9421 by the
// package http-message-signatures, JWS by jose, SM2 by sm-crypto-v2. Commands come as lines of JSON, answers go the same way.
import { createHash, generateKeyPairSync, randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { createSigner, createVerifier, httpbis } from "http-message-signatures";
import * as jose from "jose";
import { sm2 } from "sm-crypto-v2";

const NAMES = { EdDSA: "ed25519", ES256: "ecdsa-p256-sha256", "SM2-SM3": "sm2-sm3" };
const hex = (text) => Buffer.from(text, "base64url").toString("hex");
const point = (jwk) => `04${hex(jwk.x)}${hex(jwk.y)}`;

function makeKey(algorithm) {
  if (algorithm === "SM2-SM3") {
    const pair = sm2.generateKeyPairHex();
    const [x, y] = [pair.publicKey.slice(2, 66), pair.publicKey.slice(66)].map((half) => Buffer.from(half, "hex").toString("base64url"));
    const sign = async (data) =>
      Buffer.from(sm2.doSignature(Uint8Array.from(data), pair.privateKey, { hash: true, publicKey: pair.publicKey }), "hex");
    return { jwk: { kty: "EC", crv: "SM2", x, y }, sign };
  }
  const [kind, options] = algorithm === "EdDSA" ? ["ed25519", {}] : ["ec", { namedCurve: "P-256" }];
  const { privateKey, publicKey } = generateKeyPairSync(kind, options);
  return { jwk: publicKey.export({ format: "jwk" }), sign: createSigner(privateKey, NAMES[algorithm]).sign };
}

async function verifierOf(jwk) {
  if (jwk.crv === "SM2") {
    return async (data, signature) =>
      sm2.doVerifySignature(Uint8Array.from(data), Buffer.from(signature).toString("hex"), point(jwk), { hash: true });
  }
  const { createPublicKey } = await import("node:crypto");
  return createVerifier(createPublicKey({ key: jwk, format: "jwk" }), NAMES[jwk.alg]);
}

class Client {
  constructor({ algorithm, address, base, keyid, jwks }) {
    Object.assign(this, { algorithm, address, base, keyid, jwks });
    this.key = makeKey(algorithm);
  }

  // Signs for the broker's public address and sends to where it listens, as through a proxy that ends TLS.
  async send(method, path, document) {
    const body = document === undefined ? undefined : JSON.stringify(document);
    const headers = {};
    if (body !== undefined) {
      headers["content-type"] = "application/json";
      headers["content-digest"] = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
    }
    const fields = ["@method", "@target-uri", ...(body === undefined ? [] : ["content-digest", "content-type"])];
    const signed = await httpbis.signMessage(
      {
        key: { id: this.keyid, alg: NAMES[this.algorithm], sign: this.key.sign },
        name: "sig1",
        fields,
        params: ["created", "nonce", "keyid", "alg", "tag"],
        paramValues: { created: new Date(), nonce: randomUUID().replaceAll("-", ""), tag: "broker-request-v1" },
      },
      { method, url: this.base + path, headers },
    );
    const answer = await fetch(this.address + path, { method, headers: signed.headers, body });
    const text = await answer.text();
    await this.verify({ status: answer.status, headers: Object.fromEntries(answer.headers) }, signed, text);
    return { status: answer.status, text, body };
  }

  async verify(answer, request, text) {
    const digest = `sha-256=:${createHash("sha256").update(text).digest("base64")}:`;
    if (answer.headers["content-digest"] !== digest) throw new Error("the digest is not the body's");
    const covered = ["@status", "content-digest", "content-type", "@method", "@target-uri", "signature"];
    const verified = await httpbis.verifyMessage(
      {
        keyLookup: async ({ keyid }) => {
          const jwk = this.jwks.keys.find((one) => one.kid === keyid && one.roles.includes("receipt"));
          return jwk && { id: keyid, algs: [NAMES[jwk.alg]], verify: await verifierOf(jwk) };
        },
        requiredParams: ["created", "keyid", "alg", "tag"],
        requiredFields: covered,
        maxAge: 60, // the package counts the tolerance towards the age: 30 s either way
        tolerance: 30,
      },
      answer,
      { method: request.method, url: request.url, headers: request.headers },
    );
    if (verified !== true) throw new Error("the answer's signature does not hold");
  }

  async receipt(token) {
    const header = jose.decodeProtectedHeader(token);
    const jwk = this.jwks.keys.find((one) => one.kid === header.kid);
    if (jwk.crv !== "SM2") {
      const key = await jose.importJWK(jwk, jwk.alg);
      const { payload } = await jose.compactVerify(token, key, { algorithms: [jwk.alg] });
      return JSON.parse(Buffer.from(payload));
    }
    const [head, payload, signature] = token.split(".");
    const message = Uint8Array.from(Buffer.from(`${head}.${payload}`));
    const holds = sm2.doVerifySignature(message, Buffer.from(signature, "base64url").toString("hex"), point(jwk), { hash: true });
    if (header.alg !== "SM2-SM3" || !holds) throw new Error("the receipt's signature does not hold");
    return jose.decodeJwt(token);
  }
}

const acts = {
  async begin(client, options) {
    return { jwk: client.key.jwk, options };
  },
  async send(client, { method, path, document }) {
    return client.send(method, path, document);
  },
  async receipt(client, { token }) {
    return client.receipt(token).catch((error) => ({ refused: error.message }));
  },
};

let client;
for await (const line of createInterface({ input: process.stdin })) {
  const { act, ...told } = JSON.parse(line);
  if (act === "begin") client = new Client(told);
  const done = await acts[act](client, told).catch((error) => ({ error: `${error.name}: ${error.message}` }));
  console.log(JSON.stringify(done));
}
