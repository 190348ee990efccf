"""Keys, and signatures over HTTP messages. The form of signed documents (JWS) is in :mod:`broker.core.envelope`.

keys          generate, load, save and publish keys; the one place that knows every algorithm
http_message  sign and verify requests and answers (RFC 9421), a fixed profile
ed25519, p256, sm2   one file per algorithm: a signer and a verifier
libcrypto, der       what SM2 stands on
"""
