/**
 * Which of the eight service colours a service has in a trace. Its name decides, and where two names of one trace
 * would have the same, the later in the alphabet gives way: everybody who looks at a trace sees it alike.
 *
 * From the ninth service on colours come again, hatched. The name is always written as well.
 */

const COLOURS = 8;

export interface ServiceColour {
  /** 0 to 7: `--service-0` to `--service-7`. */
  slot: number;
  hatched: boolean;
}

export type ServiceColours = ReadonlyMap<string, ServiceColour>;

export function serviceColours(services: Iterable<string>): ServiceColours {
  const colours = new Map<string, ServiceColour>();
  let taken = new Set<number>();
  for (const service of [...new Set(services)].sort()) {
    if (taken.size === COLOURS) taken = new Set();
    let slot = hash(service) % COLOURS;
    while (taken.has(slot)) slot = (slot + 1) % COLOURS;
    taken.add(slot);
    colours.set(service, { slot, hatched: colours.size >= COLOURS });
  }
  return colours;
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}

/** The class names of a fill in a service's colour. */
export function colourClass(colour: ServiceColour | undefined): string {
  if (!colour) return 'service-none';
  return `service-${colour.slot}${colour.hatched ? ' hatched' : ''}`;
}
