'use strict';
{
    const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

    // A cell shows its column's heading on a phone, where a row becomes a card.
    for (const table of all('#result_list, table.data')) {
        const labels = all('thead th', table).map((cell) => cell.textContent.trim());
        for (const row of all('tbody tr', table)) {
            Array.from(row.cells).forEach((cell, index) => {
                if (labels[index]) {
                    cell.dataset.label = labels[index];
                }
            });
        }
    }

    // A button in the head of a card takes the place of the summary further down, which serves where no script runs.
    for (const opener of all('[data-opens]')) {
        const details = document.getElementById(opener.dataset.opens);
        details.querySelector('summary').hidden = true;
        opener.hidden = false;
        opener.addEventListener('click', () => {
            details.open = !details.open;
            opener.setAttribute('aria-expanded', String(details.open));
        });
    }

    // A button that copies a text; where the browser does not let us, the text is selected for the keyboard. What
    // happened is announced in the status beside it.
    for (const copier of all('[data-copies]')) {
        const source = document.getElementById(copier.dataset.copies);
        const status = copier.parentElement.querySelector('[role=status]');
        copier.hidden = false;
        copier.addEventListener('click', async () => {
            let isCopied = true;
            try {
                await navigator.clipboard.writeText(source.textContent);
            } catch {
                getSelection().selectAllChildren(source);
                isCopied = document.execCommand('copy');
            }
            status.textContent = isCopied ? copier.dataset.copied : copier.dataset.selected;
        });
    }

    const menus = () => all('details[name=menu][open]');

    document.addEventListener('click', (event) => {
        for (const menu of menus()) {
            const isSidebar = menu.classList.contains('menu-toggle') && event.target.closest('#menu');
            if (!menu.contains(event.target) && !isSidebar) {
                menu.open = false;
            }
        }
    });

    document.addEventListener('keydown', (event) => {
        if (event.key === 'Escape') {
            for (const menu of menus()) {
                menu.open = false;
                menu.querySelector('summary').focus();
            }
        }
        const search = document.getElementById('site-search');
        const isTyping = event.target.closest('input, textarea, select, [contenteditable]');
        if (event.key === '/' && search && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
            event.preventDefault();
            search.focus();
            search.select();
        }
    });

    // A form that is on its way is not sent a second time by an impatient click.
    document.addEventListener('submit', (event) => {
        const form = event.target;
        if (form.method === 'post' && !event.defaultPrevented) {
            if (form.dataset.sent) {
                event.preventDefault();
            }
            form.dataset.sent = '1';
            // The answer may be a file, which leaves the page as it is.
            setTimeout(() => delete form.dataset.sent, 5000);
        }
    });
    window.addEventListener('pageshow', () => all('form[data-sent]').forEach((form) => delete form.dataset.sent));
}
