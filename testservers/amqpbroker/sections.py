"""Splits an encoded AMQP message into its sections."""

from proton import Data


def sections(raw):
    """Yields the descriptor and the value of each section; data sections, of
    which a batch has many, are cut out of the bytes without decoding."""
    at, view = 0, memoryview(raw)
    while at < len(raw):
        if raw[at:at + 3] == b"\x00\x53\x75" and raw[at + 3] in (0xA0, 0xB0):
            short = raw[at + 3] == 0xA0
            start = at + (5 if short else 8)
            size = raw[at + 4] if short else int.from_bytes(raw[at + 4:at + 8], "big")
            yield 0x75, view[start:start + size]
            at = start + size
            continue
        data = Data()
        at += data.decode(raw[at:])
        data.rewind()
        data.next()
        described = data.get_py_described()
        yield int(described.descriptor), described.value
