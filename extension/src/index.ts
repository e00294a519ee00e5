import { cardPlugin } from './cardPlugin';
import { commandsPlugin } from './commandsPlugin';
import { entryPlugin } from './entryPlugin';
import { launcherPlugin } from './launcherPlugin';
import { modelPlugin } from './modelPlugin';
import { notificationsPlugin } from './notificationsPlugin';
import { runningPlugin } from './runningPlugin';
import { savedPlugin } from './savedPlugin';
import { statusPlugin } from './statusPlugin';
import { yardPlugin } from './yardPlugin';

export default [
  modelPlugin,
  yardPlugin,
  entryPlugin,
  commandsPlugin,
  launcherPlugin,
  statusPlugin,
  runningPlugin,
  notificationsPlugin,
  cardPlugin,
  savedPlugin
];
