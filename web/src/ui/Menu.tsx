// A menu button on the platform's popover: in the top layer, so nothing clips it; closed by Escape and by a click elsewhere.

import { type KeyboardEvent, type ReactNode, useId, useRef, useState } from 'react';
import { Icon, type IconName } from './Icon';

export interface MenuItem {
  label: string;
  icon?: IconName;
  danger?: boolean;
  /** For choices: whether it is the one. */
  checked?: boolean;
  detail?: string;
  onSelect: () => void;
}

interface Props {
  label: string;
  items: MenuItem[];
  children: ReactNode;
  className?: string;
  /** Where the menu's edge lies against the button's. */
  align?: 'start' | 'end';
  heading?: string;
  /** Whether the button's own text names it already. */
  named?: boolean;
  disabled?: boolean;
}

const GAP = 6;

export function Menu({
  label,
  items,
  children,
  className = 'icon-button',
  align = 'start',
  heading,
  named,
  disabled,
}: Props) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);

  const buttons = () => [...(menu.current?.querySelectorAll<HTMLButtonElement>('[role^=menuitem]') ?? [])];

  const place = () => {
    const from = button.current?.getBoundingClientRect();
    const panel = menu.current;
    if (!from || !panel) return;
    const { offsetWidth: width, offsetHeight: height } = panel;
    const left = align === 'end' ? from.right - width : from.left;
    const below = from.bottom + GAP;
    const top = below + height > innerHeight - GAP && from.top - GAP - height > 0 ? from.top - GAP - height : below;
    panel.style.left = `${Math.max(GAP, Math.min(left, innerWidth - width - GAP))}px`;
    panel.style.top = `${Math.max(GAP, Math.min(top, innerHeight - height - GAP))}px`;
  };

  const toggled = (event: { newState: string }) => {
    const opened = event.newState === 'open';
    setOpen(opened);
    if (opened) {
      place();
      const list = buttons();
      (list.find((item) => item.getAttribute('aria-checked') === 'true') ?? list[0])?.focus();
    }
  };

  const move = (event: KeyboardEvent) => {
    const list = buttons();
    const at = list.indexOf(document.activeElement as HTMLButtonElement);
    const target = {
      ArrowDown: (at + 1) % list.length,
      ArrowUp: (at - 1 + list.length) % list.length,
      Home: 0,
      End: list.length - 1,
    }[event.key];
    if (target !== undefined) {
      event.preventDefault();
      list[target]?.focus();
    } else if (event.key === 'Tab') menu.current?.hidePopover();
  };

  return (
    <>
      <button
        ref={button}
        type="button"
        className={className}
        aria-label={named ? undefined : label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={id}
        disabled={disabled}
        popoverTarget={id}
      >
        {children}
      </button>
      <div
        ref={menu}
        id={id}
        popover="auto"
        role="menu"
        tabIndex={-1}
        aria-label={label}
        className="menu"
        onToggle={toggled}
        onKeyDown={move}
      >
        {open && heading && (
          <p className="menu-heading" role="presentation">
            {heading}
          </p>
        )}
        {items.map((item) => (
          // biome-ignore lint/a11y/useAriaPropsSupportedByRole: a choice is a menuitemradio, which has it
          <button
            key={item.label}
            type="button"
            tabIndex={-1}
            role={item.checked === undefined ? 'menuitem' : 'menuitemradio'}
            aria-checked={item.checked}
            className={item.danger ? 'danger' : undefined}
            onClick={() => {
              menu.current?.hidePopover();
              button.current?.focus();
              item.onSelect();
            }}
          >
            {item.checked !== undefined ? (
              <span className="menu-check">{item.checked && <Icon name="check" size={16} />}</span>
            ) : (
              item.icon && <Icon name={item.icon} size={16} />
            )}
            <span className="menu-label">{item.label}</span>
            {item.detail && <small>{item.detail}</small>}
          </button>
        ))}
      </div>
    </>
  );
}
