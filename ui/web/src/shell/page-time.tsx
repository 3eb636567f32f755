/** The time a page is about, with what one does with it: another one, the same again, a link that stays as it is. */
import { useShortcuts } from '../keyboard';
import { timeRangeParameters } from '../time-range';
import { withParameters } from '../location';
import type { AskedWindow } from '../window';
import { copyLink, useSharedAddress } from './shortcuts';
import { text } from './text';
import { TimeRangePicker } from './time-range-picker';

export function PageTime({ asked }: { asked: Pick<AskedWindow, 'range' | 'endTs' | 'again'> }) {
  // A link shows the same to who follows it later: it says when the window ended.
  useSharedAddress(() => {
    const fixed = timeRangeParameters({ lookback: asked.range.lookback, endTs: asked.endTs });
    return location.origin + location.pathname + withParameters(location.search, fixed);
  });
  useShortcuts(text.pageTime, [{ keys: ['u'], text: text.askAgain, run: asked.again }]);
  return (
    <div class="page-time">
      <TimeRangePicker range={asked.range} />
      <button type="button" onClick={asked.again}>
        {text.askAgain}
      </button>
      <button type="button" onClick={() => void copyLink()}>
        {text.copyThis}
      </button>
    </div>
  );
}
