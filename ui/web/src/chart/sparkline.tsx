/** A line as small as a word, from 0 up; what it says stands beside it in numbers. */
interface Properties {
  /** Nothing where there is nothing to tell: the line has a gap. */
  values: readonly (number | undefined)[];
  /** What is to be seen, for who does not see it. */
  label: string;
}

const WIDTH = 96;
const HEIGHT = 24;

export function Sparkline({ values, label }: Properties) {
  return (
    <svg class="sparkline" width={WIDTH} height={HEIGHT} role="img" aria-label={label}>
      <path d={sparkPath(values)} />
    </svg>
  );
}

/** The path of a line with gaps; a value with gaps on both sides is a short dash. */
export function sparkPath(values: readonly (number | undefined)[]): string {
  const most = Math.max(1, ...values.map((value) => value ?? 0));
  const wide = WIDTH / Math.max(1, values.length);
  const y = (value: number) => (HEIGHT - 2 - (value / most) * (HEIGHT - 4)).toFixed(1);
  let path = '';
  values.forEach((value, index) => {
    if (value === undefined) return;
    const joined = values[index - 1] !== undefined;
    path += joined ? `L${((index + 0.5) * wide).toFixed(1)} ${y(value)}` : `M${((index + 0.3) * wide).toFixed(1)} ${y(value)}h${(0.2 * wide).toFixed(1)}`;
  });
  return path;
}
