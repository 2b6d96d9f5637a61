/** The configuration that the unit tests start from: one gateway of the laboratory. */
export const example = `
gateway: { name: gw-a, id: 0 }
interfaces:
  underlay: { name: underlay0, mode: auto }
  external: { name: external0 }
  ha:       { name: ha0 }
peer: { address: 169.254.77.2 }
sync: { mode: strict, keyFile: /etc/floatgate/sync.key, heartbeatInterval: 2ms, soloAfter: 20ms }
virtualRouters:
  - { vrid: 51, interface: underlay, address: 192.168.33.100, priority: 200, advertisementInterval: 100ms, preempt: true, preemptDelay: 0s }
externalNetworks:
  - { name: provider, subnet: 10.0.2.0/24, gateway: 10.0.2.1 }
routers:
  - name: tenant-a
    virtualRouter: 51
    externalNetwork: provider
    externalAddress: 10.0.2.201
    networks:
      - { name: a-net, vni: 100, subnet: 172.16.100.0/24, gateway: 172.16.100.1, mac: "fa:16:3e:00:01:01" }
      - { name: a-back, vni: 101, subnet: 172.16.101.0/24, gateway: 172.16.101.1, mac: FA:16:3E:00:01:02 }
    floatingIps:
      - { address: 10.0.2.215, network: a-net, fixedIp: 172.16.100.11 }
  - name: tenant-b
    virtualRouter: 51
    externalNetwork: provider
    externalAddress: 10.0.2.202
    networks: [ { name: b-net, vni: 200, subnet: 172.16.100.0/24, gateway: 172.16.100.1, mac: "fa:16:3e:00:02:01" } ]
    floatingIps: [ { address: 10.0.2.216, network: b-net, fixedIp: 172.16.100.11 } ]
timeouts: { tcpEstablished: 7440s, tcpTransitory: 240s, udp: 300s, icmp: 60s, portHoldDown: 120s }
limits: { vms: 16384, sessions: 262144, externalAddresses: 4, floatingIps: 65536, networks: 4096, routers: 4096 }
stateDirectory: /run/floatgate/gw-a
metrics: { listen: 127.0.0.1:9477 }
log: { level: info }
`;

/** The least that is a configuration. */
export const smallest = `
gateway: { name: gw-a, id: 1 }
interfaces: { underlay: { name: underlay0 }, external: { name: external0 } }
`;

/** The example with one piece of text replaced; throws when the piece is not there exactly once. */
export function exampleWith(from: string, to: string): string {
  if (example.split(from).length !== 2) throw new Error(`'${from}' is not in the example exactly once`);
  return example.replace(from, () => to);
}
