/** Puts the app on the page. */
import { render } from 'preact';

import { App } from './app';
import './style/tokens.css';
import './style/base.css';
import './style/shell.css';
import './style/search.css';
import './style/trace.css';

const place = document.getElementById('app');
if (place) render(<App />, place);
