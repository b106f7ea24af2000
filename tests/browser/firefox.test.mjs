// SPDX-License-Identifier: MIT
import { suite } from "./suite.mjs";

suite("firefox");
