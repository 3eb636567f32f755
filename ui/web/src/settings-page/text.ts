/** The words of the settings. */
import type { Settings } from '../settings';

type Choices = { [Key in keyof Omit<Settings, 'toured'>]: { title: string; why: string; choices: [Settings[Key], string][] } };

const choices: Choices = {
  theme: {
    title: 'Theme',
    why: 'Dark on light, or light on dark.',
    choices: [
      ['system', 'As the system'],
      ['light', 'Light'],
      ['dark', 'Dark'],
    ],
  },
  zone: {
    title: 'Time zone',
    why: 'In which times are shown and typed. Links mean the same moment in either.',
    choices: [
      ['local', 'Of this computer'],
      ['utc', 'UTC'],
    ],
  },
  dense: {
    title: 'Rows',
    why: 'How much room lists and tables take.',
    choices: [
      [false, 'Comfortable'],
      [true, 'Dense'],
    ],
  },
  order: {
    title: 'Order of a search',
    why: 'Used where the address says none. The order is the server’s, over the whole time that is searched.',
    choices: [
      ['newest', 'Newest'],
      ['slowest', 'Slowest'],
      ['errors', 'Most errors'],
    ],
  },
  shortcuts: {
    title: 'Keys',
    why: 'Single letters that do something. Off where a voice or another program types for you; Ctrl K and arrows keep working.',
    choices: [
      [true, 'On'],
      [false, 'Off'],
    ],
  },
};

export const text = {
  title: 'Settings',
  keptHere: 'They are kept on this browser only: nobody else sees them, and no link carries them.',
  choices,
  listOfKeys: 'Show all keys',
};
