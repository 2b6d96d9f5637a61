// SPDX-License-Identifier: Apache-2.0
// A BPF ring buffer on the event loop.
#include <bpf/libbpf.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "arguments.h"
#include "fd.h"
#include "poll.h"
#include "status.h"

namespace {

// Records per wake-up. The epoll descriptor is level-triggered, so what is left
// wakes the loop again right after everything else that waits has had its turn.
constexpr size_t kRecordsPerWakeUp = 256;

struct FreeRing {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

using Batch = std::vector<std::vector<uint8_t>>;

class Ring : public Napi::ObjectWrap<Ring> {
 public:
  // new Ring(mapFd, onRecords: (records: Buffer[]) => void)
  explicit Ring(const Napi::CallbackInfo& info);

  void Close(const Napi::CallbackInfo&) { Release(); }
  void RefLoop(const Napi::CallbackInfo&) { poll_ ? poll_->Ref() : void(); }
  void UnrefLoop(const Napi::CallbackInfo&) { poll_ ? poll_->Unref() : void(); }

 private:
  void Release();
  void OnReadable();
  static int OnRecord(void* context, void* data, size_t size);

  // libbpf does not keep the map open; a ring outlives the close of its map.
  Fd map_;
  std::unique_ptr<ring_buffer, FreeRing> ring_;
  std::unique_ptr<Poll> poll_;
  Napi::FunctionReference on_records_;
  Batch batch_;
};

Ring::Ring(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Ring>(info) {
  Napi::Env env = info.Env();
  map_ = Fd::Duplicate(IntOf(info[0]));
  if (!map_.IsOpen()) {
    ThrowSystemError(env, "fcntl", errno, "ring buffer map");
  }
  ring_.reset(ring_buffer__new(map_.Get(), &Ring::OnRecord, this, nullptr));
  if (!ring_) {
    ThrowSystemError(env, "ring_buffer__new", errno);
  }
  on_records_ = Napi::Persistent(info[1].As<Napi::Function>());
  poll_ = std::make_unique<Poll>(env, ring_buffer__epoll_fd(ring_.get()), "libbpf-ts:RingBuffer",
                                 [this](int, int) { OnReadable(); });
  poll_->Start(UV_READABLE);
}

void Ring::Release() {
  poll_.reset();
  ring_.reset();
  map_.Reset();
  on_records_.Reset();
}

// Copies, because the kernel reuses the space as soon as this returns.
int Ring::OnRecord(void* context, void* data, size_t size) {
  Ring* self = static_cast<Ring*>(context);
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  self->batch_.emplace_back(bytes, bytes + size);
  // A negative result ends this round; the record itself counts as consumed.
  return self->batch_.size() < kRecordsPerWakeUp ? 0 : -ECANCELED;
}

void Ring::OnReadable() {
  ring_buffer__consume(ring_.get());
  Batch batch = std::move(batch_);
  batch_.clear();
  if (batch.empty()) {
    return;
  }
  Napi::Env env = Env();
  Napi::Array records = Napi::Array::New(env, batch.size());
  for (size_t i = 0; i < batch.size(); i++) {
    records.Set(static_cast<uint32_t>(i),
                Napi::Buffer<uint8_t>::Copy(env, batch[i].data(), batch[i].size()));
  }
  // JavaScript may close this ring meanwhile; nothing of it is touched afterwards.
  on_records_.Value().Call({records});
}

}  // namespace

void RegisterRingBuffer(Napi::Env env, Napi::Object exports) {
  exports.Set("Ring", Ring::DefineClass(env, "Ring",
                                        {
                                            Ring::InstanceMethod<&Ring::Close>("close"),
                                            Ring::InstanceMethod<&Ring::RefLoop>("ref"),
                                            Ring::InstanceMethod<&Ring::UnrefLoop>("unref"),
                                        }));
}
