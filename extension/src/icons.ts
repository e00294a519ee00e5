import { LabIcon } from '@jupyterlab/ui-components';

import yardSvg from '../style/icons/yard.svg';

export const yardIcon = new LabIcon({ name: 'modelyard:yard', svgstr: yardSvg });
