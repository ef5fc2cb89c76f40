from toolbox.backup import main

raise SystemExit(main())
