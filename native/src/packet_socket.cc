// SPDX-License-Identifier: Apache-2.0
// AF_PACKET sockets: whole frames of one interface.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "arguments.h"
#include "fd.h"
#include "receiver.h"
#include "status.h"

namespace {

class PacketSocket : public Napi::ObjectWrap<PacketSocket> {
 public:
  // new PacketSocket(ifindex, protocol, onMessages); protocol 0: send only
  explicit PacketSocket(const Napi::CallbackInfo& info);

  void SetPromiscuous(const Napi::CallbackInfo&);
  void Send(const Napi::CallbackInfo& info);  // (frame: Buffer)
  void Close(const Napi::CallbackInfo&);
  void RefLoop(const Napi::CallbackInfo&) { receiver_ ? receiver_->Ref() : void(); }
  void UnrefLoop(const Napi::CallbackInfo&) { receiver_ ? receiver_->Unref() : void(); }

 private:
  int ifindex_;
  // Declared in this order because the receiver must go first.
  Fd fd_;
  std::unique_ptr<Receiver> receiver_;
};

PacketSocket::PacketSocket(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<PacketSocket>(info), ifindex_(IntOf(info[0])) {
  Napi::Env env = info.Env();
  int protocol = IntOf(info[1]);
  // Opened for no protocol, lest frames of other interfaces arrive before bind.
  fd_.Reset(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  ThrowIfFailed(env, fd_.Get(), "socket", "AF_PACKET");
  SetOption(env, fd_.Get(), SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(static_cast<uint16_t>(protocol));
  address.sll_ifindex = ifindex_;
  ThrowIfFailed(env, bind(fd_.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind",
                "AF_PACKET on interface " + std::to_string(ifindex_));
  if (protocol != 0) {
    receiver_ = std::make_unique<Receiver>(env, fd_.Get(), "libbpf-ts:PacketSocket", info[2].As<Napi::Function>());
  }
}

void PacketSocket::SetPromiscuous(const Napi::CallbackInfo& info) {
  packet_mreq request{};
  request.mr_ifindex = ifindex_;
  request.mr_type = PACKET_MR_PROMISC;
  SetOption(info.Env(), fd_.Get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, request, "PACKET_MR_PROMISC");
}

void PacketSocket::Send(const Napi::CallbackInfo& info) {
  Bytes frame = BytesOf(info[0]);
  if (frame.size < ETH_HLEN) {
    ThrowSystemError(info.Env(), "sendto", EINVAL, "a frame of " + std::to_string(frame.size) + " bytes has no Ethernet header");
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = ifindex_;
  // Qdiscs, checksum offload and taps go by this, not by the frame.
  memcpy(&address.sll_protocol, frame.data + 2 * ETH_ALEN, sizeof address.sll_protocol);
  ssize_t sent = sendto(fd_.Get(), frame.data, frame.size, MSG_DONTWAIT | MSG_NOSIGNAL,
                        reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ThrowIfFailed(info.Env(), static_cast<int>(sent), "sendto", "interface " + std::to_string(ifindex_));
}

void PacketSocket::Close(const Napi::CallbackInfo&) {
  receiver_.reset();
  fd_.Reset();
}

}  // namespace

void RegisterPacketSocket(Napi::Env env, Napi::Object exports) {
  exports.Set("PacketSocket",
              PacketSocket::DefineClass(env, "PacketSocket",
                                        {
                                            PacketSocket::InstanceMethod<&PacketSocket::SetPromiscuous>("setPromiscuous"),
                                            PacketSocket::InstanceMethod<&PacketSocket::Send>("send"),
                                            PacketSocket::InstanceMethod<&PacketSocket::Close>("close"),
                                            PacketSocket::InstanceMethod<&PacketSocket::RefLoop>("ref"),
                                            PacketSocket::InstanceMethod<&PacketSocket::UnrefLoop>("unref"),
                                        }));
}
