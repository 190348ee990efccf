"""The few functions of OpenSSL 3 that SM2 needs, declared once, behind ctypes.

Why not a package: ``cryptography`` has no SM2 and plans none; the system's OpenSSL has it in every supported
distribution, is patched by the distribution, and ctypes releases the interpreter lock while it computes.
Nothing is loaded until the first SM2 key is used: a machine without OpenSSL 3 can still use the other algorithms.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_int, c_long, c_size_t, c_ulong, c_void_p
from functools import cache
from typing import Any, Final

from broker.core.errors import BrokerProblem, OperatorProblem

OPENSSL_3: Final = 0x30000000  # SM2 has a key type and a distid parameter of its own since 3.0
SONAME: Final = "libcrypto.so.3"

_PROTOTYPES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "ERR_clear_error": (None, ()),
    "CRYPTO_free": (None, (c_void_p, c_char_p, c_int)),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "EVP_PKEY_is_a": (c_int, (c_void_p, c_char_p)),
    "EVP_PKEY_CTX_new_from_name": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "EVP_PKEY_CTX_new_from_pkey": (c_void_p, (c_void_p, c_void_p, c_char_p)),
    "EVP_PKEY_CTX_free": (None, (c_void_p,)),
    "EVP_PKEY_keygen_init": (c_int, (c_void_p,)),
    "EVP_PKEY_generate": (c_int, (c_void_p, POINTER(c_void_p))),
    "EVP_PKEY_pairwise_check": (c_int, (c_void_p,)),
    "EVP_PKEY_sign_init": (c_int, (c_void_p,)),
    "EVP_PKEY_sign": (c_int, (c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t)),
    "EVP_PKEY_verify_init": (c_int, (c_void_p,)),
    "EVP_PKEY_verify": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "EVP_PKEY_encrypt_init": (c_int, (c_void_p,)),
    "EVP_PKEY_encrypt": (c_int, (c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t)),
    "EVP_PKEY_decrypt_init": (c_int, (c_void_p,)),
    "EVP_PKEY_decrypt": (c_int, (c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t)),
    "d2i_PUBKEY": (c_void_p, (c_void_p, POINTER(c_void_p), c_long)),
    "i2d_PUBKEY": (c_int, (c_void_p, POINTER(c_void_p))),
    "d2i_AutoPrivateKey": (c_void_p, (c_void_p, POINTER(c_void_p), c_long)),
    "EVP_PKEY2PKCS8": (c_void_p, (c_void_p,)),
    "i2d_PKCS8_PRIV_KEY_INFO": (c_int, (c_void_p, POINTER(c_void_p))),
    "PKCS8_PRIV_KEY_INFO_free": (None, (c_void_p,)),
}


@cache
def libcrypto() -> ctypes.CDLL:
    """The system's OpenSSL 3 with every prototype set; ``OperatorProblem`` ``config.invalid`` when there is none.

    The soname comes first because searching (``find_library``) starts subprocesses.
    """
    for name in _names():
        try:
            library = ctypes.CDLL(name)
            version = library.OpenSSL_version_num
        except (OSError, AttributeError):
            continue
        version.restype = c_ulong
        if version() >= OPENSSL_3:
            return _declared(library)
    raise OperatorProblem("config.invalid", expected=f"OpenSSL 3 ({SONAME}) on this machine, for SM2")


def _names() -> Iterator[str]:
    yield SONAME
    found = ctypes.util.find_library("crypto")
    if found is not None:
        yield found


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


class KeyHandle:
    """Owns one EVP_PKEY and frees it exactly once, when nobody holds the handle any more.

    OpenSSL allows any number of threads to use one key at once; contexts are made per call and never shared.
    """

    __slots__ = ("__weakref__", "pointer")

    def __init__(self, pointer: int) -> None:
        """Take over ``pointer``; the caller must not free it."""
        self.pointer = c_void_p(pointer)
        # Not at exit: a daemon thread may still be signing then, and the process is giving its memory back anyway.
        weakref.finalize(self, libcrypto().EVP_PKEY_free, pointer).atexit = False

    @contextmanager
    def operation(self) -> Iterator[c_void_p]:
        """A fresh context on this key, freed in all cases, and OpenSSL's error queue left empty.

        The queue belongs to the thread and is shared with Python's own ``ssl``, which must not find our errors there.
        """
        library = libcrypto()
        context = c_void_p(library.EVP_PKEY_CTX_new_from_pkey(None, self.pointer, None))
        if context.value is None:
            raise failure("context")
        try:
            yield context
        finally:
            library.EVP_PKEY_CTX_free(context)
            library.ERR_clear_error()

    def is_sm2(self) -> bool:
        """Whether OpenSSL sees an SM2 key here."""
        return bool(libcrypto().EVP_PKEY_is_a(self.pointer, b"SM2"))

    def is_consistent(self) -> bool:
        """Whether the public point belongs to the private number."""
        with self.operation() as context:
            return bool(libcrypto().EVP_PKEY_pairwise_check(context) == 1)

    def public_der(self) -> bytes:
        """The SubjectPublicKeyInfo."""
        return _encoded(libcrypto().i2d_PUBKEY, self.pointer)

    def private_der(self) -> bytes:
        """The PKCS#8 PrivateKeyInfo, unencrypted."""
        library = libcrypto()
        info = c_void_p(library.EVP_PKEY2PKCS8(self.pointer))
        if info.value is None:
            raise failure("export")
        try:
            return _encoded(library.i2d_PKCS8_PRIV_KEY_INFO, info)
        finally:
            library.PKCS8_PRIV_KEY_INFO_free(info)


def generate_sm2() -> KeyHandle:
    """A new SM2 key from OpenSSL's random generator."""
    library = libcrypto()
    context = c_void_p(library.EVP_PKEY_CTX_new_from_name(None, b"SM2", None))
    if context.value is None:
        raise failure("no SM2")
    pointer = c_void_p()
    try:
        done = library.EVP_PKEY_keygen_init(context) == 1 and library.EVP_PKEY_generate(context, ctypes.byref(pointer))
    finally:
        library.EVP_PKEY_CTX_free(context)
    if done != 1 or pointer.value is None:
        raise failure("generate")
    return KeyHandle(pointer.value)


def public_from_der(der: bytes) -> KeyHandle | None:
    """The key of a SubjectPublicKeyInfo; none when it is malformed or its point is not on its curve."""
    return _decoded(libcrypto().d2i_PUBKEY, der)


def private_from_der(der: bytes) -> KeyHandle | None:
    """The key of an unencrypted PKCS#8 PrivateKeyInfo; none when it is malformed."""
    return _decoded(libcrypto().d2i_AutoPrivateKey, der)


def failure(what: str) -> BrokerProblem:
    """The problem to raise when OpenSSL cannot do what it should always be able to; empties its error queue."""
    libcrypto().ERR_clear_error()
    return BrokerProblem("broker.fault", got=f"OpenSSL: {what}")


def _decoded(decode: Any, der: bytes) -> KeyHandle | None:
    buffer = ctypes.create_string_buffer(der, len(der))
    start = ctypes.addressof(buffer)
    cursor = c_void_p(start)
    try:
        pointer = decode(None, ctypes.byref(cursor), len(der))
    finally:
        ctypes.memset(buffer, 0, len(der))  # it may have held a private key
    libcrypto().ERR_clear_error()
    if not pointer:
        return None
    handle = KeyHandle(pointer)
    return handle if cursor.value == start + len(der) else None


def _encoded(encode: Any, item: c_void_p) -> bytes:
    output = c_void_p()  # a null pointer asks OpenSSL to allocate
    length = encode(item, ctypes.byref(output))
    if length <= 0:
        raise failure("encode")
    try:
        return ctypes.string_at(output, length)
    finally:
        ctypes.memset(output, 0, length)
        libcrypto().CRYPTO_free(output, b"", 0)
