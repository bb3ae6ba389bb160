// Placeholder that lets the toolchain run. The views take this file over.

import { render } from "solid-js/web";

render(() => <p>Kuvert</p>, document.body);
