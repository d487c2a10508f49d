// Opens the settings of notifications, which are loaded when they are asked for.

import type { ComponentType } from 'preact';
import { useState } from 'preact/hooks';
import { texts } from '../text/text.js';

const t = texts({
  en: { open: 'Notifications', failed: 'This did not come: reload the page.' },
  de: { open: 'Benachrichtigungen', failed: 'Das kam nicht an: die Seite neu laden.' },
});

interface DialogProps {
  onClose: () => void;
}

export function NotifyButton() {
  const [Dialog, setDialog] = useState<{ of: ComponentType<DialogProps> } | null>(null);
  const [isOpen, setOpen] = useState(false);
  const [hasFailed, setFailed] = useState(false);
  const open = async () => {
    try {
      const { NotifyDialog } = await import('./Dialog.js');
      setDialog({ of: NotifyDialog });
      setOpen(true);
    } catch {
      setFailed(true);
    }
  };
  return (
    <>
      <button type="button" id="notify-open" aria-haspopup="dialog" onClick={() => void open()}>{t('open')}</button>
      {hasFailed && <span class="error" role="status">{t('failed')}</span>}
      {isOpen && Dialog && <Dialog.of onClose={() => setOpen(false)} />}
    </>
  );
}
