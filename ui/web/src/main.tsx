/** Puts the app on the page. */
import { render } from 'preact';

import { App } from './app';
import { listenToKeys } from './keyboard';
import './style/tokens.css';
import './style/base.css';
import './style/shell.css';
import './chart/chart.css';
import './style/print.css';

listenToKeys();

const place = document.getElementById('app');
if (place) render(<App />, place);
