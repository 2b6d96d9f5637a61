"""
Advertisements that nobody may believe, so many a second; 0: as fast as this can send them.

usage: vrrp-flood.py RATE INTERFACE VERSION VRID OUR-ADDRESS THEIR-ADDRESS VIRTUAL-ADDRESS

Each claims the role with priority 255 or resigns it with 0, and breaks one rule; at full speed half of
them are good ones of the lowest priority, from many hosts. Runs until its standard input ends, then says
how many it has sent.
"""
import random
import select
import socket
import struct
import sys
import time

rate, interface, version, vrid = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
ours, theirs, virtual = map(socket.inet_aton, sys.argv[5:8])
GROUP = socket.inet_aton("224.0.0.18")
random.seed(1)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def packet(message, source=theirs, ttl=255, protocol=112, fragment=0, header=0x45):
    start = struct.pack("!BBHHHBBH4s4s", header, 0xC0, 20 + len(message), 0, fragment, ttl, protocol, 0, source, GROUP)
    return start[:10] + struct.pack("!H", checksum(start)) + start[12:] + message


def message(first=0x31, router=vrid, priority=255, count=1, interval=b"\0\x0a", addresses=virtual, trailer=b"", wrong=0):
    body = bytes([first, router, priority, count]) + interval + b"\0\0" + addresses + trailer
    return body[:6] + struct.pack("!H", checksum(body) ^ wrong) + body[8:]


def forgeries(priority):
    v2 = dict(first=0x21, priority=priority, interval=b"\0\1", trailer=bytes(8))
    text = dict(v2, interval=b"\1\1")
    yield packet(message(priority=priority), ttl=254)
    yield packet(message(priority=priority), source=ours)
    yield packet(message(priority=priority, wrong=0x0101))
    yield packet(message(priority=priority, count=0, addresses=b""))
    yield packet(message(priority=priority, count=255))
    yield packet(message(priority=priority, addresses=virtual * 2))
    yield packet(message(priority=priority, interval=b"\0\0"))
    yield packet(message(priority=priority, router=(vrid + 1) % 256))
    for first in (0x01, 0x11, 0x32, 0x3F, 0x41, 0xF1):
        yield packet(message(priority=priority, first=first))
    yield packet(message(priority=priority)[:7])
    yield packet(message(priority=priority), fragment=0x2000)
    yield packet(b"")
    yield packet(message(**dict(v2, trailer=b"")))
    yield packet(message(**dict(v2, interval=b"\2\1")))
    yield packet(message(**dict(v2, interval=b"\0\0")))
    yield packet(message(**dict(text, trailer=b"wrong\0\0\0")))
    if version == 2:
        # Right but for one thing each.
        yield packet(message(priority=priority))
        yield packet(message(**dict(v2, interval=b"\0\2")))
        if priority != 255:
            yield packet(message(**dict(v2, addresses=ours)))
    else:
        yield packet(message(**v2))
    for _ in range(8):
        yield packet(random.randbytes(random.randrange(64)))


MAC = bytes.fromhex("01005e000012") + bytes.fromhex("00005e0001") + bytes([vrid]) + b"\x08\0"
frames = [MAC + one for priority in (255, 0) for one in forgeries(priority)]
if not rate:
    frames += [MAC + packet(message(priority=1), source=bytes([10, 9, 1, host % 256])) for host in range(len(frames))]
voice = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
voice.bind((interface, 0))
print("flooding", flush=True)
sent = refused = 0
began = time.monotonic()
while not select.select([sys.stdin], [], [], 0)[0]:
    for frame in frames:
        try:
            voice.send(frame)
            sent += 1
        except OSError:
            refused += 1
    if rate:
        time.sleep(max(0, began + sent / rate - time.monotonic()))
print(f"sent {sent}", flush=True)
