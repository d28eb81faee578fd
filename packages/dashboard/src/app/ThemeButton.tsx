import { useCell } from '../data/cell.ts';
import { Button } from '../ui/Button.tsx';
import { Icon } from '../ui/Icon.tsx';
import { nextTheme, theme } from './theme.ts';

const icons = { system: 'system', light: 'sun', dark: 'moon' } as const;

export function ThemeButton() {
  const current = useCell(theme);
  return (
    <Button
      kind="quiet"
      className="max-sm:px-1.5"
      onClick={nextTheme}
      aria-label={`Theme: ${current}. Change`}
      title={`Theme: ${current}`}
    >
      <Icon name={icons[current]} />
    </Button>
  );
}
