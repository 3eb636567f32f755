/** The colours that bars are painted with, as the theme has them now. */
import { tokenColour } from '../chart/colours';
import type { ServiceColours } from '../service-colour';

export interface Palette {
  background: string;
  text: string;
  border: string;
  critical: string;
  fail: string;
  link: string;
  none: string;
  hatch: string;
  /** By slot. */
  services: string[];
}

const SLOTS = 8;

export function readPalette(): Palette {
  return {
    background: tokenColour('--bg'),
    text: tokenColour('--text'),
    border: tokenColour('--border'),
    critical: tokenColour('--critical'),
    fail: tokenColour('--fail'),
    link: tokenColour('--link'),
    none: tokenColour('--control'),
    hatch: tokenColour('--hatch'),
    services: Array.from({ length: SLOTS }, (_, slot) => tokenColour(`--service-${slot}`)),
  };
}

/** The fill of a service's bars: by its index in the trace. */
export interface ServiceFill {
  colour: string;
  hatched: boolean;
}

export function fillsOf(palette: Palette, services: readonly string[], colours: ServiceColours): ServiceFill[] {
  return services.map((service) => {
    const colour = colours.get(service);
    return { colour: (colour && palette.services[colour.slot]) || palette.none, hatched: colour?.hatched ?? false };
  });
}

/** Red, green, blue and alpha of a colour as a browser computes it, packed as image data is. */
export function packed(colour: string): number {
  const [red = 0, green = 0, blue = 0] = (/rgba?\(([^)]+)\)/.exec(colour)?.[1] ?? '').split(/[\s,/]+/).map(Number);
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
