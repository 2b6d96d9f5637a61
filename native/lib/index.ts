/** BPF objects, sockets and links of Linux for Node, with types. */
export {
  Beacon, type BeaconFindings, type BeaconOptions, type BeaconPath, type BeaconPathStats, type BeaconStats, type BeaconWatch,
} from './beacon.js';
export * from './btf.js';
export * from './codec.js';
export { SystemError } from './errors.js';
export { kernelBtf } from './kernel-btf.js';
export * from './layout.js';
export { BpfLink, type LinkInfo, type LinkTypeName, xdpPrograms } from './link.js';
export {
  BpfMap, type MapBatch, type MapCursor, type MapInfo, type MapTypeName, MMAPABLE, NO_PREALLOC, possibleCpus, type UpdateMode,
} from './map.js';
export { BpfObject, type OpenOptions } from './object.js';
export {
  BpfProgram, type ProgramInfo, type ProgramTypeName, type TestRunOptions, type TestRunResult, type XdpMode,
} from './program.js';
export {
  Repeater, RepeaterEntry, type RepeaterEntryChange, type RepeaterEntryOptions, type RepeaterEntryStats, type RepeaterMessage,
  type RepeaterStamp, type RepeaterStats,
} from './repeater.js';
export { RingBuffer } from './ring-buffer.js';
export { TcAttachment, type TcDirection, type TcOptions } from './tc.js';
export { PerCpuMap, TypedMap } from './typed-map.js';
export * from './netlink/index.js';
export { ETHERTYPE_ALL, type FrameInfo, PacketSocket, type PacketSocketOptions, type PacketType } from './packet-socket.js';
export { type RawPacketInfo, RawSocket, type RawSocketOptions } from './raw-socket.js';
export { interfaceIndex } from './socket.js';
