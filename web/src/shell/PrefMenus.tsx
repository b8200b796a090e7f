// Language and appearance.

import { LANGUAGE_NAMES, useLang, useT } from '../i18n';
import { type Lang, setLang, setTheme, type Theme, theme } from '../lib/prefs';
import { useStore } from '../lib/store';
import { Icon, type IconName } from '../ui/Icon';
import { Menu } from '../ui/Menu';

export function LanguageMenu() {
  const t = useT();
  const current = useLang();
  return (
    <Menu
      label={t('app.language')}
      align="end"
      className="icon-button"
      items={(Object.keys(LANGUAGE_NAMES) as Lang[]).map((language) => ({
        label: LANGUAGE_NAMES[language],
        checked: language === current,
        onSelect: () => setLang(language),
      }))}
    >
      <Icon name="globe" size={18} />
    </Menu>
  );
}

export function ThemeMenu() {
  const t = useT();
  const current = useStore(theme);
  const choices: { value: Theme; label: string }[] = [
    { value: 'system', label: t('app.themeSystem') },
    { value: 'light', label: t('app.themeLight') },
    { value: 'dark', label: t('app.themeDark') },
  ];
  const icons: Record<Theme, IconName> = { system: 'screen', light: 'sun', dark: 'moon' };
  return (
    <Menu
      label={t('app.theme')}
      align="end"
      className="icon-button"
      items={choices.map(({ value, label }) => ({
        label,
        checked: value === current,
        onSelect: () => setTheme(value),
      }))}
    >
      <Icon name={icons[current]} size={18} />
    </Menu>
  );
}
