/** Short messages for everybody: seen for a moment, and read out to who does not see them. */
import { useEffect, useState } from 'preact/hooks';

const ANNOUNCED = 'tracehound:announced';

/** How long a message stays. */
const SHOWN_MS = 4000;

export function announce(message: string): void {
  window.dispatchEvent(new CustomEvent(ANNOUNCED, { detail: message }));
}

export function Announcer() {
  const [message, setMessage] = useState('');
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = (event: Event) => {
      setMessage(String((event as CustomEvent<string>).detail));
      clearTimeout(timer);
      timer = setTimeout(() => setMessage(''), SHOWN_MS);
    };
    window.addEventListener(ANNOUNCED, show);
    return () => {
      window.removeEventListener(ANNOUNCED, show);
      clearTimeout(timer);
    };
  }, []);
  return (
    <div class={`announcer ${message === '' ? 'silent' : ''}`} role="status">
      {message}
    </div>
  );
}
