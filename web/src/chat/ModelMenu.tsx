import { useT } from '../i18n';
import { Icon } from '../ui/Icon';
import { Menu } from '../ui/Menu';
import type { ChatModel } from './useChatModels';

interface Props {
  models: ChatModel[];
  value: string;
  disabled: boolean;
  onChange: (id: string) => void;
}

export function ModelMenu({ models, value, disabled, onChange }: Props) {
  const t = useT();
  const current = models.find((model) => model.id === value);
  const detail = (model: ChatModel) => {
    if (model.external) return t('chat.modelExternal');
    if (model.state === 'ready') return t('chat.modelReady');
    return t(model.state === 'loading' ? 'chat.modelLoading' : 'chat.modelCold');
  };
  const name = current?.name ?? (value && models.length > 0 ? t('chat.modelGone', { model: value }) : value);
  if (models.length === 0 && value === '') return null;
  return (
    <Menu
      label={`${t('chat.model')}: ${name}${current ? `, ${detail(current)}` : ''}`}
      heading={t('chat.model')}
      className="model-button"
      disabled={disabled}
      items={models.map((model) => ({
        label: model.name,
        detail: detail(model),
        checked: model.id === value,
        onSelect: () => onChange(model.id),
      }))}
    >
      <span className={`dot ${current?.external ? 'ready' : (current?.state ?? 'cold')}`} aria-hidden="true" />
      <span className="model-name">{name}</span>
      <Icon name="down" size={14} />
    </Menu>
  );
}
