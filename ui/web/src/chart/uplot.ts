/** uPlot with its styles: a piece of its own, loaded when a chart is shown. */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export default uPlot;
