// A worker that takes part in another's tasks.

import { help } from "./core.js";

onmessage = ({ data }) => help(data, () => postMessage("ready"));
