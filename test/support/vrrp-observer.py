"""
What a segment's world sees of an election, told by a program that shares no code with ours.

usage: vrrp-observer.py BRIDGE VIRTUAL-ADDRESS PORT...

Reads every frame that enters one of the bridge's ports, and asks for the virtual address by
ARP every 50 ms. Writes one line of JSON for each advertisement and each ARP answer:
which port it came in by, what it says, when (CLOCK_MONOTONIC).
"""
import ctypes
import json
import select
import socket
import struct
import sys
import time

ETH_P_ALL, OUTGOING, ASK_NS = 3, 4, 50_000_000
bridge, virtual, ports = sys.argv[1], socket.inet_aton(sys.argv[2]), set(sys.argv[3:])

ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
# In the kernel: a flood through the bridge must not fill the socket before anybody has looked at it.
indexes = [socket.if_nametoindex(port) for port in sorted(ports)]
SO_ATTACH_FILTER, LOAD_BYTE, LOAD_WORD, JUMP_EQUAL, RETURN, PACKET_TYPE, IFINDEX = 26, 0x30, 0x20, 0x15, 0x06, 0xFFFFF004, 0xFFFFF008
program = [(LOAD_BYTE, 0, 0, PACKET_TYPE), (JUMP_EQUAL, len(indexes) + 1, 0, OUTGOING), (LOAD_WORD, 0, 0, IFINDEX)]
program += [(JUMP_EQUAL, len(indexes) - at, 0, index) for at, index in enumerate(indexes)]
program += [(RETURN, 0, 0, 0), (RETURN, 0, 0, 0xFFFF)]
instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))
ear.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(instructions)))
voice = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
voice.bind((bridge, 0))
mac = voice.getsockname()[4]
question = (b"\xff" * 6 + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1)
            + mac + socket.inet_aton("10.9.0.254") + bytes(6) + virtual)


def dotted(address):
    return socket.inet_ntoa(address)


def advertisement(frame):
    header = (frame[14] & 15) * 4
    message = frame[14 + header:]
    interval = struct.unpack("!H", message[4:6])[0] & 0xFFF
    version = message[0] >> 4
    return {
        "kind": "advertisement", "version": version, "vrid": message[1], "priority": message[2],
        "intervalMs": interval * 10 if version == 3 else message[5] * 1000,
        "source": dotted(frame[26:30]), "destination": dotted(frame[30:34]), "mac": frame[6:12].hex(":"),
    }


def told(frame):
    kind = struct.unpack("!H", frame[12:14])[0]
    if kind == 0x0800 and len(frame) >= 42 and frame[23] == 112:
        return advertisement(frame)
    # Announcements are not answers.
    if kind == 0x0806 and frame[20:22] == b"\0\2" and frame[28:32] == virtual and frame[38:42] != virtual:
        return {"kind": "answer", "address": dotted(virtual), "mac": frame[22:28].hex(":")}
    return None


print(json.dumps({"kind": "ready"}), flush=True)
ask_at = 0
while True:
    now = time.monotonic_ns()
    if now >= ask_at:
        voice.send(question)
        ask_at = now + ASK_NS
    if not select.select([ear], [], [], max(0, ask_at - now) / 1e9)[0]:
        continue
    frame, (port, _, direction, _, _) = ear.recvfrom(2048)
    if port not in ports or direction == OUTGOING:
        continue
    line = told(frame)
    if line is not None:
        print(json.dumps({"port": port, "atNs": str(time.monotonic_ns()), **line}), flush=True)
