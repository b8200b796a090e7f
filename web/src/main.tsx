import { createRoot } from 'react-dom/client';
import { App } from './shell/App';
import './styles/tokens.css';
import './styles/base.css';
import './styles/controls.css';
import './styles/shell.css';
import './styles/chat.css';
import './styles/composer.css';
import './styles/markdown.css';
import './styles/pages.css';

const root = document.getElementById('root');
if (root) createRoot(root).render(<App />);
