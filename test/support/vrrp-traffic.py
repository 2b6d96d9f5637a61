"""
What a compute sends through a gateway, and how much of it comes out on the other side.

usage: vrrp-traffic.py COMPUTE-INTERFACE OUTSIDE-INTERFACE HEX

Sends the frame every 10 ms until its standard input ends. Ten times a second it writes a line of JSON:
how many were sent and how many UDP datagrams have come out, so far.
"""
import json
import select
import socket
import sys
import time

ETH_P_IP, OUTGOING, PERIOD_S, FRAMES_PER_REPORT = 0x0800, 4, 0.01, 10
compute, outside, frame = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3])
voice = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
voice.bind((compute, 0))
ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
ear.bind((outside, ETH_P_IP))
sent = forwarded = 0
began = time.monotonic()
while True:
    wait = began + sent * PERIOD_S - time.monotonic()
    ready = select.select([sys.stdin, ear], [], [], max(0, wait))[0]
    if sys.stdin in ready:
        break
    if ear in ready:
        packet, (_, _, kind, _, _) = ear.recvfrom(2048)
        forwarded += kind != OUTGOING and packet[23] == socket.IPPROTO_UDP
        continue
    voice.send(frame)
    sent += 1
    if sent % FRAMES_PER_REPORT == 0:
        print(json.dumps({"sent": sent, "forwarded": forwarded}), flush=True)
