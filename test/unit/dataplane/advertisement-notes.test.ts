import { describe, expect, it } from 'vitest';
import { AdvertisementNotes } from '../../../src/dataplane/advertisement-notes.js';
import { advertisementCodec, advertisementKind, advertisementKindCount } from '../../../src/dataplane/layout.generated.js';

const VRID = 51;
const LONGEST = 1096;

function notes() {
  const memory = Buffer.alloc(256 * advertisementKindCount * advertisementCodec.size);
  const write = (kind: keyof typeof advertisementKind, receivedNs: bigint, text: string, vrid = VRID): void => {
    const packet = Buffer.alloc(LONGEST);
    packet.write(text);
    const index = vrid * advertisementKindCount + advertisementKind[kind];
    advertisementCodec.encode({ receivedNs, length: text.length, window: 0, passed: 0, packet }, memory, index * advertisementCodec.size);
  };
  const reader = new AdvertisementNotes({ mmap: () => memory });
  const unread = (vrid = VRID): string[] => reader.unread(vrid).map(({ packet, receivedNs }) => `${packet.toString()}@${receivedNs}`);
  return { write, unread };
}

describe('notes', () => {
  it('are none where nothing has come', () => expect(notes().unread()).toEqual([]));

  it('are read once each, the oldest first', () => {
    const { write, unread } = notes();
    write('superior', 20n, 'high');
    write('inferior', 10n, 'low');
    expect(unread()).toEqual(['low@10', 'high@20']);
    expect(unread()).toEqual([]);
    write('inferior', 30n, 'again');
    expect(unread()).toEqual(['again@30']);
  });

  it('are of one virtual router only', () => {
    const { write, unread } = notes();
    write('superior', 1n, 'other', 255);
    write('superior', 2n, 'first', 1);
    expect(unread()).toEqual([]);
    expect([unread(255), unread(1)]).toEqual([['other@1'], ['first@2']]);
  });

  it('that are being written are none yet', () => {
    const { write, unread } = notes();
    write('superior', 0n, 'half');
    expect(unread()).toEqual([]);
    write('superior', 5n, 'whole');
    expect(unread()).toEqual(['whole@5']);
  });

  it('are as long as the longest advertisement, and never longer, whatever they say', () => {
    const { write, unread } = notes();
    write('superior', 1n, 'x'.repeat(LONGEST));
    expect(unread()[0]).toHaveLength(LONGEST + 2);
    write('superior', 2n, 'y'.repeat(LONGEST + 500));
    expect(unread()[0]).toHaveLength(LONGEST + 2);
  });
});
