import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../../src/config/configuration.js';
import { gatewayConfiguration } from '../../../src/lab/gateway.js';
import { flowsOf } from '../../../src/lab/openvswitch.js';
import { facesGateway, isServer, namespaceOf, networkOf, outsideAddressesOf, routesOf, tenantOf, topology, vmNamed } from '../../../src/lab/topology.js';
import { stringify } from 'yaml';

const ends = topology.links.flatMap((link) => link.ends.map((end) => ({ link, end })));

describe('topology', () => {
  it('every link ends at a node that exists, by an interface name that Linux accepts and that is unique there', () => {
    const names = topology.nodes.map(({ name }) => name);
    for (const { end } of ends) {
      expect(names).toContain(end.node);
      expect(end.interface.length).toBeLessThan(16);
    }
    expect(new Set(ends.map(({ end }) => `${end.node} ${end.interface}`)).size).toBe(ends.length);
  });

  it('the tenants overlap: two VMs have one address, in different networks', () => {
    const [a1, b1] = [vmNamed('vm-a1'), vmNamed('vm-b1')];
    expect(a1.address).toBe(b1.address);
    expect(tenantOf(a1)).not.toBe(tenantOf(b1));
    expect([outsideAddressesOf(a1), outsideAddressesOf(b1)]).toEqual([['10.0.2.201'], ['10.0.2.202', '10.0.2.203']]);
    expect(outsideAddressesOf(vmNamed('vm-b2'))).toEqual(['10.0.2.216']);
  });

  it('a tenant has two networks, on different computes', () => {
    const [a1, a3] = [vmNamed('vm-a1'), vmNamed('vm-a3')];
    expect(tenantOf(a1)).toBe(tenantOf(a3));
    expect(networkOf(a1)).not.toBe(networkOf(a3));
    expect(a1.compute).not.toBe(a3.compute);
  });

  it('what is behind a floating IP or a forwarding is a server', () => {
    expect(topology.vms.filter(isServer).map(({ node }) => node)).toEqual(['vm-a1', 'vm-a2', 'vm-a3', 'vm-b2', 'vm-c2']);
  });

  it('a full packet with a tag fits into the switch that gateways face', () => {
    const tagged = ends.filter(({ link, end }) => facesGateway(link, end) && end.node === 'external');
    for (const { link, end } of tagged) expect(end.mtuBytes).toBe(link.mtuBytes + 4);
  });

  it('only far ends of gateway links need a program to take what XDP sends; the gateways have their own', () => {
    const far = ends.filter(({ link, end }) => facesGateway(link, end)).map(({ end }) => `${end.node} ${end.interface}`);
    expect(far.sort()).toEqual(['external gw-a', 'external gw-b', 'underlay gw-a', 'underlay gw-b']);
  });

  it('a packet of a VM fits through the tunnel, and any packet through the ha link', () => {
    const mtuOf = (node: string, name: string) => ends.find(({ end }) => end.node === node && end.interface === name)?.link.mtuBytes ?? 0;
    const encapsulationBytes = 20 + 8 + 8 + 8 + 14;
    expect(mtuOf('vm-a1', 'eth0') + encapsulationBytes).toBeLessThanOrEqual(mtuOf('gw-a', 'underlay0'));
    expect(mtuOf('gw-a', 'external0') + encapsulationBytes).toBeLessThanOrEqual(mtuOf('gw-a', 'underlay0'));
    expect(mtuOf('gw-a', 'ha0')).toBeGreaterThan(mtuOf('gw-a', 'underlay0'));
  });

  it('VMs route to their gateway, the server to its router, switches nowhere', () => {
    expect(['vm-b2', 'vm-a3', 'outside', 'underlay'].map((node) => routesOf(node).map(({ via }) => via))).toEqual([['172.16.100.1'], ['172.16.101.1'], ['203.0.113.1'], []]);
    expect(namespaceOf('vm-b2')).toBe('fg-vm-b2');
  });
});

describe('flowsOf', () => {
  it('out with the VNI and the option of the port, in only with both', () => {
    expect(flowsOf(vmNamed('vm-b1'))).toEqual([
      'in_port=20,actions=set_field:200->tun_id,set_field:0x140001->tun_metadata0,output:1',
      'in_port=1,tun_id=200,tun_metadata0=0x140001,dl_dst=fa:16:3e:00:02:10,actions=output:20',
    ]);
  });

  it('VXLAN: without an option, by a tunnel port of its own', () => {
    expect(flowsOf(vmNamed('vm-c1'))).toEqual([
      'in_port=40,actions=set_field:300->tun_id,output:2',
      'in_port=2,tun_id=300,dl_dst=fa:16:3e:00:04:10,actions=output:40',
    ]);
  });
});

describe('gatewayConfiguration', () => {
  it.each(topology.gateways.flatMap((gateway) => (['strict', 'none'] as const).map((sync) => [gateway.node, sync, gateway] as const)))('%s, sync %s: the daemon accepts it', (_node, sync, gateway) => {
    const parsed = parseConfiguration(stringify(gatewayConfiguration(topology, gateway, sync)), 'lab');
    expect(parsed).toMatchObject({ configuration: { gateway: { name: gateway.node, id: gateway.id } } });
  });
});
