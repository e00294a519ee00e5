import { yardPlugin } from './yardPlugin';

export default [yardPlugin];
