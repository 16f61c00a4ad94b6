'use strict';
{
    // The description's own sheet goes by a class; ours by the theme that the site remembers.
    const root = document.documentElement;
    const system = matchMedia('(prefers-color-scheme: dark)');
    const follow = () => {
        const theme = root.dataset.theme;
        root.classList.toggle('dark-mode', theme === 'dark' || (theme !== 'light' && system.matches));
    };
    follow();
    system.addEventListener('change', follow);
    new MutationObserver(follow).observe(root, {attributeFilter: ['data-theme']});
}
