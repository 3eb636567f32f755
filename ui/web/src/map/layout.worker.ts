/** Lays a map out beside the page, which goes on meanwhile. */
import type { LayoutInput } from './geometry';
import { layoutOf } from './layout';

onmessage = ({ data }: MessageEvent<LayoutInput>) => {
  try {
    postMessage({ layout: layoutOf(data) });
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
