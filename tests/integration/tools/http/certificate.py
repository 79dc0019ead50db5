"""A certificate that signs itself, made with nothing but Python, for servers on this machine that speak TLS.

An ECDSA key on P-256 (SEC 1) in an X.509 certificate (RFC 5280), as little of both as OpenSSL wants to see. Good for
tests alone: its numbers take no care to be secret.
"""

import base64
import hashlib
import ipaddress
import secrets
from pathlib import Path

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int] | None


def write(directory: Path, *names: str, not_after: str = "20491231235959Z") -> tuple[Path, Path]:
    """Make a certificate for host names and addresses; returns the files of the certificate and of its key."""
    private = secrets.randbelow(_N - 1) + 1
    public = b"\x04" + b"".join(number.to_bytes(32, "big") for number in _times(private, _G) or ())
    curve, signing = _oid(1, 2, 840, 10045, 3, 1, 7), _der(0x30, _oid(1, 2, 840, 10045, 4, 3, 2))
    name = _der(0x30, _der(0x31, _der(0x30, _oid(2, 5, 4, 3), _der(0x0C, b"A test"))))
    key_info = _der(0x30, _der(0x30, _oid(1, 2, 840, 10045, 2, 1), curve), _bits(public))
    body = _der(
        0x30,
        _der(0xA0, _number(2)),
        _number(secrets.randbits(64) | 1),
        signing,
        name,
        _der(0x30, _der(0x18, b"20200101000000Z"), _der(0x18, not_after.encode())),
        name,
        key_info,
        _der(0xA3, _der(0x30, *_extensions(names, hashlib.sha1(public).digest()))),
    )
    certificate = _der(0x30, body, signing, _bits(_signature(private, body)))
    key = _der(0x30, _number(1), _der(0x04, private.to_bytes(32, "big")), _der(0xA0, curve), _der(0xA1, _bits(public)))
    files = directory / "certificate.pem", directory / "key.pem"
    for path, label, data in zip(files, ("CERTIFICATE", "EC PRIVATE KEY"), (certificate, key), strict=True):
        text = base64.encodebytes(data).decode()
        path.write_text(f"-----BEGIN {label}-----\n{text}-----END {label}-----\n")
    return files


def _extensions(names: tuple[str, ...], key_id: bytes) -> list[bytes]:
    return [
        _extension(17, _der(0x30, *(_alternative(name) for name in names))),
        _extension(19, _der(0x30, _der(0x01, b"\xff")), critical=True),
        _extension(15, _der(0x03, b"\x02\x84"), critical=True),
        _extension(14, _der(0x04, key_id)),
        _extension(35, _der(0x30, _der(0x80, key_id))),
    ]


def _extension(number: int, value: bytes, *, critical: bool = False) -> bytes:
    return _der(0x30, _oid(2, 5, 29, number), _der(0x01, b"\xff") if critical else b"", _der(0x04, value))


def _alternative(name: str) -> bytes:
    try:
        return _der(0x87, ipaddress.ip_address(name).packed)
    except ValueError:
        return _der(0x82, name.encode())


def _signature(private: int, data: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(data).digest(), "big")
    nonce = secrets.randbelow(_N - 1) + 1
    r = (_times(nonce, _G) or (0, 0))[0] % _N
    s = pow(nonce, -1, _N) * (digest + r * private) % _N
    return _der(0x30, _number(r), _number(s))


def _times(factor: int, point: Point) -> Point:
    found: Point = None
    while factor:
        if factor & 1:
            found = _plus(found, point)
        point, factor = _plus(point, point), factor >> 1
    return found


def _plus(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % _P == 0:
        return None
    if one == other:
        slope = 3 * (one[0] ** 2 - 1) * pow(2 * one[1], -1, _P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _P)
    x = (slope * slope - one[0] - other[0]) % _P
    return x, (slope * (one[0] - x) - one[1]) % _P


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def _number(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _bits(data: bytes) -> bytes:
    return _der(0x03, b"\0" + data)


def _oid(first: int, second: int, *rest: int) -> bytes:
    body = bytearray([first * 40 + second])
    for number in rest:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        body += bytes(reversed(groups))
    return _der(0x06, bytes(body))
