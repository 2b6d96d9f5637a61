// SPDX-License-Identifier: Apache-2.0
// Operations on a map's descriptor. Element operations return 0 or -errno: the
// typed layer knows the map's name and makes the error; lib/map.ts also checks
// every buffer's length against the map's sizes before it comes here.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <cerrno>
#include <string>

#include "arguments.h"
#include "handle.h"
#include "status.h"

namespace {

// mapCreate(type, name, keySize, valueSize, maxEntries, flags): Handle
Napi::Value Create(const Napi::CallbackInfo& info) {
  std::string name = StringOf(info[1]);
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.map_flags = UintOf(info[5]);
  Fd fd(bpf_map_create(static_cast<bpf_map_type>(UintOf(info[0])), name.c_str(), UintOf(info[2]),
                       UintOf(info[3]), UintOf(info[4]), &options));
  if (!fd.IsOpen()) {
    ThrowSystemError(info.Env(), "bpf_map_create", errno, "map '" + name + "'");
  }
  return Handle::New(info.Env(), std::move(fd));
}

// mapOpen(id): Handle
Napi::Value Open(const Napi::CallbackInfo& info) {
  uint32_t id = UintOf(info[0]);
  Fd fd(bpf_map_get_fd_by_id(id));
  if (!fd.IsOpen()) {
    ThrowSystemError(info.Env(), "bpf_map_get_fd_by_id", errno, "map id " + std::to_string(id));
  }
  return Handle::New(info.Env(), std::move(fd));
}

// mapInfo(fd)
Napi::Value Info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bpf_map_info map{};
  uint32_t size = sizeof map;
  if (bpf_obj_get_info_by_fd(IntOf(info[0]), &map, &size) < 0) {
    ThrowSystemError(env, "bpf_obj_get_info_by_fd", errno, "map");
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("id", map.id);
  result.Set("type", map.type);
  result.Set("name", std::string(map.name));
  result.Set("keySize", map.key_size);
  result.Set("valueSize", map.value_size);
  result.Set("maxEntries", map.max_entries);
  result.Set("flags", map.map_flags);
  result.Set("btfId", map.btf_id);
  result.Set("btfKeyTypeId", map.btf_key_type_id);
  result.Set("btfValueTypeId", map.btf_value_type_id);
  return result;
}

// mapLookup(fd, key, value, flags): 0 | -errno, fills `value`
Napi::Value Lookup(const Napi::CallbackInfo& info) {
  int result = bpf_map_lookup_elem_flags(IntOf(info[0]), BytesOf(info[1]).data,
                                         BytesOf(info[2]).data, UintOf(info[3]));
  return Status(info.Env(), result, errno);
}

// mapUpdate(fd, key, value, flags): 0 | -errno
Napi::Value Update(const Napi::CallbackInfo& info) {
  int result = bpf_map_update_elem(IntOf(info[0]), BytesOf(info[1]).data, BytesOf(info[2]).data,
                                   UintOf(info[3]));
  return Status(info.Env(), result, errno);
}

// mapDelete(fd, key): 0 | -errno
Napi::Value Delete(const Napi::CallbackInfo& info) {
  int result = bpf_map_delete_elem(IntOf(info[0]), BytesOf(info[1]).data);
  return Status(info.Env(), result, errno);
}

// mapNextKey(fd, key | undefined, next): 0 | -errno, fills `next`
Napi::Value NextKey(const Napi::CallbackInfo& info) {
  int result =
      bpf_map_get_next_key(IntOf(info[0]), BytesOf(info[1]).data, BytesOf(info[2]).data);
  return Status(info.Env(), result, errno);
}

Napi::Value BatchResult(Napi::Env env, int result, int error, uint32_t count) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("status", result < 0 ? -error : 0);
  object.Set("count", count);
  return object;
}

// mapLookupBatch(fd, cursor | undefined, nextCursor, keys, values, count): {status, count}
Napi::Value LookupBatch(const Napi::CallbackInfo& info) {
  uint32_t count = UintOf(info[5]);
  int result = bpf_map_lookup_batch(IntOf(info[0]), BytesOf(info[1]).data, BytesOf(info[2]).data,
                                    BytesOf(info[3]).data, BytesOf(info[4]).data, &count, nullptr);
  return BatchResult(info.Env(), result, errno, count);
}

// mapUpdateBatch(fd, keys, values, count): {status, count}
Napi::Value UpdateBatch(const Napi::CallbackInfo& info) {
  uint32_t count = UintOf(info[3]);
  int result = bpf_map_update_batch(IntOf(info[0]), BytesOf(info[1]).data, BytesOf(info[2]).data,
                                    &count, nullptr);
  return BatchResult(info.Env(), result, errno, count);
}

// mapDeleteBatch(fd, keys, count): {status, count}
Napi::Value DeleteBatch(const Napi::CallbackInfo& info) {
  uint32_t count = UintOf(info[2]);
  int result = bpf_map_delete_batch(IntOf(info[0]), BytesOf(info[1]).data, &count, nullptr);
  return BatchResult(info.Env(), result, errno, count);
}

// mapMemory(fd, bytes): Buffer over the kernel's own memory. The mapping holds
// the map alive and is undone when the Buffer is collected, never earlier, so a
// Buffer that outlives its map object stays readable.
Napi::Value Memory(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  size_t bytes = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, IntOf(info[0]), 0);
  if (memory == MAP_FAILED) {
    ThrowSystemError(env, "mmap", errno, std::to_string(bytes) + " bytes of a map");
  }
  return Napi::Buffer<uint8_t>::New(
      env, static_cast<uint8_t*>(memory), bytes,
      [](Napi::Env, uint8_t* mapped, size_t* length) {
        munmap(mapped, *length);
        delete length;
      },
      new size_t(bytes));
}

// possibleCpus(): how many values an element of a per-CPU map has
Napi::Value PossibleCpus(const Napi::CallbackInfo& info) {
  int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) {
    ThrowSystemError(info.Env(), "libbpf_num_possible_cpus", cpus);
  }
  return Napi::Number::New(info.Env(), cpus);
}

}  // namespace

void RegisterMap(Napi::Env env, Napi::Object exports) {
  exports.Set("mapCreate", Napi::Function::New<Create>(env, "mapCreate"));
  exports.Set("mapOpen", Napi::Function::New<Open>(env, "mapOpen"));
  exports.Set("mapInfo", Napi::Function::New<Info>(env, "mapInfo"));
  exports.Set("mapLookup", Napi::Function::New<Lookup>(env, "mapLookup"));
  exports.Set("mapUpdate", Napi::Function::New<Update>(env, "mapUpdate"));
  exports.Set("mapDelete", Napi::Function::New<Delete>(env, "mapDelete"));
  exports.Set("mapNextKey", Napi::Function::New<NextKey>(env, "mapNextKey"));
  exports.Set("mapLookupBatch", Napi::Function::New<LookupBatch>(env, "mapLookupBatch"));
  exports.Set("mapUpdateBatch", Napi::Function::New<UpdateBatch>(env, "mapUpdateBatch"));
  exports.Set("mapDeleteBatch", Napi::Function::New<DeleteBatch>(env, "mapDeleteBatch"));
  exports.Set("mapMemory", Napi::Function::New<Memory>(env, "mapMemory"));
  exports.Set("possibleCpus", Napi::Function::New<PossibleCpus>(env, "possibleCpus"));
}
