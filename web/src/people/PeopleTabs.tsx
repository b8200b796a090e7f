// Members, keys and projects belong together: each tab has its own address.

import { session } from '../api/client';
import { useT } from '../i18n';
import { mayPeople, useMay } from '../lib/rights';
import { useStore } from '../lib/store';
import { TabLinks } from '../ui/parts';

export type PeopleTab = 'members' | 'keys' | 'projects' | 'organisations' | 'sessions';

export function PeopleTabs({ current }: { current: PeopleTab }) {
  const t = useT();
  const people = useMay('people');
  const host = useMay('organisations');
  const signedIn = useStore(session);
  const member = signedIn?.key === null;
  const keys = mayPeople(signedIn?.me);
  const tabs: [PeopleTab, boolean][] = [
    ['members', people],
    ['keys', keys],
    ['projects', people],
    ['organisations', host],
    ['sessions', member],
  ];
  return (
    <TabLinks
      label={t('nav.keys')}
      tabs={tabs
        .filter(([, shown]) => shown)
        .map(([tab]) => ({ href: `#/${tab}`, label: t(`people.${tab}`), current: tab === current }))}
    />
  );
}
