import { createRoot } from "react-dom/client";
import "uplot/dist/uPlot.min.css";
import "./style/tokens.css";
import "./style/base.css";
import "./style/shell.css";
import "./style/pages.css";
import { App } from "./shell/app.tsx";
import { begin } from "./shell/session.ts";

void begin();
createRoot(document.getElementById("root") as HTMLElement).render(<App />);
