// Tables, snippets and small marks, as the pages have them that are no board.

import { adopt } from './adopt.js';
import style from './lists.css' with { type: 'text' };

adopt(style);
