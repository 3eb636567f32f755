/** The find: a box over the page that leads to a trace by its ID, to a service, a deployment or a page. */
import { useEffect, useRef, useState } from 'preact/hooks';

import { getServices } from '../api';
import { href, navigate } from '../location';
import { useRequest } from '../request';
import { type Match, matchesOf } from './finding';
import { useServer } from './server';
import { FIND } from './shortcuts';
import { text } from './text';

export function showFind(): void {
  window.dispatchEvent(new Event(FIND));
}

export function QuickFind() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const show = () => {
      setShown(true);
      if (!dialog.current?.open) dialog.current?.showModal();
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.metaKey || event.ctrlKey)) return;
      event.preventDefault();
      show();
    };
    window.addEventListener(FIND, show);
    window.addEventListener('keydown', onKey);
    return () => {
      window.removeEventListener(FIND, show);
      window.removeEventListener('keydown', onKey);
    };
  }, []);
  const close = () => dialog.current?.close();
  return (
    <dialog ref={dialog} class="find-dialog" aria-label={text.find} onClose={() => setShown(false)}>
      {shown && <Find onDone={close} />}
    </dialog>
  );
}

function Find({ onDone }: { onDone: () => void }) {
  const [typed, setTyped] = useState('');
  const [active, setActive] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const services = useRequest('services', getServices);
  const { deployments = [] } = useServer();
  const matches = matchesOf(typed, { services: services.answer ?? [], deployments });
  useEffect(() => input.current?.focus(), []);
  useEffect(() => {
    document.getElementById(`find-${active}`)?.scrollIntoView({ block: 'nearest' });
  }, [active]);
  const go = (match: Match | undefined) => {
    if (!match) return;
    onDone();
    navigate(match.path);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setActive((before) => (before + step + matches.length) % Math.max(1, matches.length));
    } else if (event.key === 'Enter') {
      event.preventDefault();
      go(matches[active]);
    }
  };
  return (
    <>
      <div class="find-head">
        <input
          ref={input}
          role="combobox"
          aria-label={text.findWhat}
          aria-expanded="true"
          aria-controls="find-matches"
          aria-activedescendant={matches.length > 0 ? `find-${active}` : undefined}
          placeholder={text.findWhat}
          spellcheck={false}
          autocomplete="off"
          onInput={(event) => {
            setTyped(event.currentTarget.value);
            setActive(0);
          }}
          onKeyDown={onKeyDown}
        />
        <button type="button" onClick={onDone}>
          {text.close}
        </button>
      </div>
      <ul id="find-matches" class="find-matches" role="listbox" aria-label={text.find}>
        {matches.map((match, index) => (
          <li
            key={`${match.kind} ${match.path}`}
            id={`find-${index}`}
            role="option"
            aria-selected={index === active}
            onPointerMove={() => setActive(index)}
            onClick={(event) => (event.metaKey || event.ctrlKey ? window.open(href(match.path)) : go(match))}
          >
            <span class="find-kind">{text.kinds[match.kind]}</span>
            <span class="find-name">{match.name}</span>
          </li>
        ))}
      </ul>
      <p class="muted find-note">{text.findNote}</p>
    </>
  );
}
