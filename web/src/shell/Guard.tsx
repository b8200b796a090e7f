// A page that throws does not take the console with it.

import { Component, type ReactNode } from 'react';
import { translate } from '../i18n';
import { lang } from '../lib/prefs';
import { Button } from '../ui/Button';
import { Empty } from '../ui/parts';

export class Guard extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return (
      <main className="page">
        <Empty icon="warn" title={translate(lang.get(), 'app.crash')}>
          <p>{translate(lang.get(), 'app.crashText')}</p>
          <pre className="crash">{String(this.state.error)}</pre>
          <Button look="primary" onClick={() => location.reload()}>
            {translate(lang.get(), 'app.reload')}
          </Button>
        </Empty>
      </main>
    );
  }
}
