/** The packets that the driver presents: a template, and the flows that are put into it. */
import type { BpfObject, Codec } from 'libbpf-ts';
import { externalAddress, firstVni, floatingIp, floatingVmAddress, REMOTE, ROUTERS, TUNNEL_ENDPOINT, vmAddress, type Layout } from './world.js';

const FLOW_BYTES = 16;
const DRIVE_HEAD_BYTES = 32;
const TEMPLATE_MAX_BYTES = 128;
const PORTS = 65536;
/** Of each protocol, of each VM: two blocks' worth. */
const FLOWS_PER_VM = 512;
const VMS_PER_ROUTER = 56;
const protocols = [6, 17] as const;
const REMOTE_PORT = 443;

export interface Traffic {
  /** As it is before the first run. */
  readonly frame: Buffer;
  readonly flows: Buffer;
  readonly count: number;
  /** `struct drive` for so many of the flows. */
  drive(flows: number, sequential: boolean): Buffer;
}

/** The way in of mappings, and the way out of the same. */
export interface WayBack extends Traffic {
  readonly outward: Traffic;
}

interface Template {
  readonly frame: Buffer;
  readonly vniOffset: number;
  readonly ipOffset: number;
  readonly source: boolean;
}

function traffic(template: Template, flows: Buffer): Traffic {
  return {
    frame: template.frame,
    flows,
    count: flows.length / FLOW_BYTES,
    drive: (count, sequential) => {
      const drive = Buffer.alloc(DRIVE_HEAD_BYTES + TEMPLATE_MAX_BYTES);
      const head = [template.frame.length, template.vniOffset, template.ipOffset, template.source ? 1 : 0, count, sequential ? 1 : 0];
      head.forEach((value, n) => drive.writeUInt32LE(value, n * 4));
      template.frame.copy(drive, DRIVE_HEAD_BYTES);
      return drive;
    },
  };
}

function ethernet(destination: string, source: string): Buffer {
  return Buffer.from(`${destination}${source}0800`, 'hex');
}

function checksum(header: Buffer): number {
  let sum = 0;
  for (let i = 0; i < header.length; i += 2) sum += header.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function ipv4(source: number, destination: number, protocol: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt8(64, 8);
  header.writeUInt8(protocol, 9);
  header.writeUInt32BE(source, 12);
  header.writeUInt32BE(destination, 16);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** Both a UDP datagram without checksum and a TCP segment with ACK: which one, the flow's protocol says. */
function segment(sourcePort: number, destinationPort: number): Buffer {
  const bytes = Buffer.alloc(26);
  bytes.writeUInt16BE(sourcePort, 0);
  bytes.writeUInt16BE(destinationPort, 2);
  bytes.writeUInt16BE(bytes.length, 4);
  bytes.writeUInt8(0x50, 12);
  bytes.writeUInt8(0x10, 13);
  return bytes;
}

function flow(vni: number, address: number, port: number, protocol: number): Buffer {
  const bytes = Buffer.alloc(FLOW_BYTES);
  bytes.writeUIntBE(vni, 0, 3);
  bytes.writeUInt32BE(address, 4);
  bytes.writeUInt16BE(port, 8);
  bytes.writeUInt8(protocol, 10);
  return bytes;
}

function outwardTemplate(): Template {
  const inner = Buffer.concat([ethernet('fa163e000101', 'fa163e00010a'), ipv4(0, REMOTE, 0, segment(0, REMOTE_PORT))]);
  const geneve = Buffer.from('0240655800000000' + '01028001' + '0001000a', 'hex');
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(50000, 0);
  udp.writeUInt16BE(6081, 2);
  udp.writeUInt16BE(udp.length + geneve.length + inner.length, 4);
  const outer = ipv4(0xc0a8211f, TUNNEL_ENDPOINT, 17, Buffer.concat([udp, geneve, inner]));
  const frame = Buffer.concat([ethernet('00005e000133', '02000000331f'), outer]);
  return { frame, vniOffset: 14 + 20 + 8 + 4, ipOffset: frame.length - 46, source: true };
}

function inwardTemplate(): Template {
  const packet = ipv4(REMOTE, 0, 0, segment(REMOTE_PORT, 0));
  return { frame: Buffer.concat([ethernet('00005e000133', '020000000201'), packet]), vniOffset: 0, ipOffset: 14, source: false };
}

/** `end`: VNI and address of a VM, as the packet names it. */
function everyFlow(end: (router: number, vm: number) => readonly [number, number]): Buffer {
  const flows: Buffer[] = [];
  for (let router = 0; router < ROUTERS; router++) {
    for (let vm = 0; vm < VMS_PER_ROUTER; vm++) {
      for (const protocol of protocols) {
        for (let n = 0; n < FLOWS_PER_VM / protocols.length; n++) {
          flows.push(flow(...end(router, vm), 20000 + n, protocol));
        }
      }
    }
  }
  return Buffer.concat(flows);
}

/** From VMs to one server. */
export const outwards: Traffic = traffic(outwardTemplate(), everyFlow((router, vm) => [firstVni + router, vmAddress(vm)]));

/** The same of VMs with floating IPs, and back to these. */
export const floatingOutwards: Traffic = traffic(outwardTemplate(), everyFlow((router, vm) => [firstVni + router, floatingVmAddress(vm)]));
export const floatingInwards: Traffic = traffic(inwardTemplate(), everyFlow((router, vm) => [0, floatingIp(router, vm)]));

/** The way back of every mapping that there is, and the way out of the same. */
export function inwards(object: BpfObject, layout: Layout): WayBack {
  const memory = object.map('mappings').mmap();
  const vms = object.map('vms').mmap();
  const vmCodec = layout['vmCodec'] as Codec<{ vni: number; address: number }>;
  const mappingCodec = layout['mappingCodec'] as Codec<{ vm: number; internalPort: number }>;
  const vmStride = Math.ceil(vmCodec.size / 8) * 8;
  const inward: Buffer[] = [];
  const outward: Buffer[] = [];
  for (let index = 0; index < memory.length / mappingCodec.size; index++) {
    if (memory.readUInt32LE(index * mappingCodec.size) === 0) continue;
    const mapping = mappingCodec.decode(memory, index * mappingCodec.size);
    const vm = vmCodec.decode(vms, (mapping.vm - 1) * vmStride);
    const protocol = protocols[Math.floor(index / PORTS) % 3]!;
    inward.push(flow(0, externalAddress(Math.floor(index / PORTS / 3)), index % PORTS, protocol));
    outward.push(flow(vm.vni, vm.address, mapping.internalPort, protocol));
  }
  return { ...traffic(inwardTemplate(), Buffer.concat(inward)), outward: traffic(outwardTemplate(), Buffer.concat(outward)) };
}
