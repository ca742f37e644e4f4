"""Makes a screenshot small: few colours are enough, so 8 bits a pixel with a palette."""

import struct
import zlib

COLOURS = 256


def smaller(data):
    """The same picture with a palette; unchanged if it is not what chromium writes (8 bits, RGB or RGBA)."""
    header, pixels = unpack(data)
    width, height, depth, kind, _, _, interlaced = header
    if depth != 8 or kind not in (2, 6) or interlaced:
        return data
    channels = 3 if kind == 2 else 4
    rows = unfilter(pixels, width, height, channels)
    counts = {}
    colours = []
    for row in rows:
        line = [(row[at], row[at + 1], row[at + 2]) for at in range(0, len(row), channels)]
        colours.append(line)
        for colour in line:
            counts[colour] = counts.get(colour, 0) + 1
    palette = sorted(counts, key=counts.get, reverse=True)[:COLOURS]
    nearest = {colour: number for number, colour in enumerate(palette)}
    places, body = {}, bytearray()
    for line in colours:
        body.append(0)
        for colour in line:
            number = nearest.get(colour)
            if number is None:
                # Rare colours are the edges of letters: their neighbours may share a place.
                rough = tuple(value >> 3 for value in colour)
                if rough not in places:
                    places[rough] = min(range(len(palette)), key=lambda one: distance(palette[one], colour))
                number = nearest[colour] = places[rough]
            body.append(number)
    flat = bytes(value for colour in palette for value in colour)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
            + chunk(b"PLTE", flat) + chunk(b"IDAT", zlib.compress(bytes(body), 9)) + chunk(b"IEND", b""))


def distance(one, other):
    return sum((left - right) ** 2 for left, right in zip(one, other, strict=True))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def unpack(data):
    at, header, body = 8, None, b""
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at:at + 8])
        content = data[at + 8:at + 8 + length]
        if name == b"IHDR":
            header = struct.unpack(">IIBBBBB", content)
        elif name == b"IDAT":
            body += content
        at += length + 12
    return header, zlib.decompress(body)


def unfilter(pixels, width, height, channels):
    size, rows, before = width * channels, [], bytes(width * channels)
    for number in range(height):
        at = number * (size + 1)
        kind, row = pixels[at], bytearray(pixels[at + 1:at + 1 + size])
        for x in range(size):
            left = row[x - channels] if x >= channels else 0
            up = before[x]
            if kind == 1:
                row[x] = (row[x] + left) & 255
            elif kind == 2:
                row[x] = (row[x] + up) & 255
            elif kind == 3:
                row[x] = (row[x] + (left + up) // 2) & 255
            elif kind == 4:
                corner = before[x - channels] if x >= channels else 0
                guess = left + up - corner
                near = sorted((abs(guess - value), order, value) for order, value in enumerate((left, up, corner)))
                row[x] = (row[x] + near[0][2]) & 255
        rows.append(row)
        before = row
    return rows
