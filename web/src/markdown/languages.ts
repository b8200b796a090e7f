import { common, createLowlight } from 'lowlight';

export const lowlight = createLowlight(common);
lowlight.registerAlias({ bash: ['shell', 'console', 'terminal'], ini: ['toml'], javascript: ['mjs'], json: ['jsonc'] });
