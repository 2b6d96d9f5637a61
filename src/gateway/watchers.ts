/** By what means things are watched, and what is shared by those that watch. */
import { ArpProbes } from './arp-probes.js';
import type { Basis } from './basis.js';
import type { Commands } from './commands.js';
import { EchoProbes } from './echo-probes.js';
import { LinkStates } from './link-states.js';
import { Prober } from './prober.js';
import type { TrackerMakers } from './trackers.js';

export class Watchers {
  readonly links = new LinkStates();
  readonly arp: ArpProbes;
  readonly #echo = new EchoProbes();
  readonly #commands: Pick<Commands, 'run'>;

  constructor(basis: Basis, commands: Pick<Commands, 'run'>) {
    this.arp = new ArpProbes(basis);
    this.#commands = commands;
  }

  get makers(): TrackerMakers {
    return {
      link: ({ name }, changed) => this.links.track(name, changed),
      gateway: ({ address, by, interval, timeout, rise, fall }, changed) => {
        const probes = by === 'arp' ? this.arp : this.#echo;
        return new Prober({ intervalMs: interval, rise, fall, changed, probe: () => probes.probe(address, timeout) });
      },
      script: ({ command, user, interval, timeout, rise, fall }, changed) =>
        new Prober({ intervalMs: interval, rise, fall, changed, probe: () => this.#commands.run({ words: command, user, timeoutMs: timeout, environment: {} }) }),
    };
  }

  close(): void {
    this.arp.close();
    this.#echo.close();
  }
}
